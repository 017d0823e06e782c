# Fetches one page through crawlgate: ruby fetch.rb https://target.example/
require 'net/http'

url = URI(ARGV.fetch(0, 'https://target.example/'))
host, port = ENV.fetch('CRAWLGATE_PROXY', '127.0.0.1:8010').split(':')

http = Net::HTTP.new(url.host, url.port, host, port.to_i, ENV.fetch('CRAWLGATE_API_KEY'), '')
http.use_ssl = url.scheme == 'https'
http.ca_file = ENV['CRAWLGATE_CA'] if ENV['CRAWLGATE_CA']
# The proxy holds a request back while the website's delay lasts.
http.read_timeout = 600
# The proxy repeats what failed; a repetition by Net::HTTP would only count twice.
http.max_retries = 0

begin
  response = http.start { |connection| connection.request(Net::HTTP::Get.new(url)) }
rescue Net::HTTPClientException => e
  # A wrong key on an https page ends here: the tunnel is refused with 407.
  abort "tunnel refused: #{e.message}"
rescue OpenSSL::SSL::SSLError => e
  abort "TLS: #{e.message}"
end

if response['X-Crawlera-Error']
  warn "#{response.code} #{response['X-Crawlera-Error']}: #{response.body}"
  warn "try again in #{response['Retry-After']} s" if response['Retry-After']
  exit 1
end
puts "#{response.code} through #{response['X-Crawlera-Slave']}", response.body

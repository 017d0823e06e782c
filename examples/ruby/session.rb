# Opens a page, then sends a form through the same upstream: ruby session.rb https://target.example/
require 'net/http'

url = URI(ARGV.fetch(0, 'https://target.example/'))
host, port = ENV.fetch('CRAWLGATE_PROXY', '127.0.0.1:8010').split(':')

def ask(connection, request, session)
  request['X-Crawlera-Session'] = session
  request['X-Crawlera-Profile'] = 'desktop'
  response = connection.request(request)
  raise "#{response['X-Crawlera-Error']}: #{response.body}" if response['X-Crawlera-Error']

  response
end

http = Net::HTTP.new(url.host, url.port, host, port.to_i, ENV.fetch('CRAWLGATE_API_KEY'), '')
http.use_ssl = url.scheme == 'https'
http.ca_file = ENV['CRAWLGATE_CA'] if ENV['CRAWLGATE_CA']
http.read_timeout = 600
http.max_retries = 0

# Everything inside `start` shares one connection.
http.start do |connection|
  page = ask(connection, Net::HTTP::Get.new(url), 'create')
  session = page['X-Crawlera-Session']
  puts "session #{session}", page.body

  form = Net::HTTP::Post.new(url)
  form.set_form_data('q' => 'blue shoes')
  puts ask(connection, form, session).body
end

import java.net.*;
import java.net.http.*;
import java.util.stream.*;

/** Several pages at once with a client of default settings. */
public class Parallel {
    public static void main(String[] args) throws Exception {
        var proxy = System.getenv("CRAWLGATE_PROXY").split(":");
        var client = HttpClient.newBuilder()
                .proxy(ProxySelector.of(new InetSocketAddress(proxy[0], Integer.parseInt(proxy[1]))))
                .authenticator(ClientFetch.key(System.getenv("CRAWLGATE_API_KEY")))
                .build();
        var asked = Stream.of(args)
                .map(url -> HttpRequest.newBuilder(URI.create(url)).build())
                .map(request -> client.sendAsync(request, HttpResponse.BodyHandlers.ofString()))
                .collect(Collectors.toList());
        for (var one : asked) {
            var error = one.get().headers().firstValue("X-Crawlera-Error").orElse("");
            System.out.println((one.get().version() + " " + one.get().statusCode() + " " + error).trim());
        }
    }
}

import java.io.InputStream;
import java.net.InetSocketAddress;
import java.net.ProxySelector;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.time.Duration;
import java.util.Base64;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/**
 * Opens a page, then sends a form through the same upstream: java ClientSession.java https://target.example/
 * The key goes along with every request, without waiting for a challenge.
 */
public class ClientSession {
    private static HttpClient client;

    public static void main(String[] args) throws Exception {
        // Java leaves the key out of CONNECT otherwise. It is read once, when the client's classes are loaded.
        System.setProperty("jdk.http.auth.tunneling.disabledSchemes", "");

        var target = URI.create(args.length > 0 ? args[0] : "https://target.example/");
        var proxy = System.getenv().getOrDefault("CRAWLGATE_PROXY", "127.0.0.1:8010").split(":");
        var builder = HttpClient.newBuilder()
                .version(HttpClient.Version.HTTP_1_1)
                .proxy(ProxySelector.of(new InetSocketAddress(proxy[0], Integer.parseInt(proxy[1]))));
        if (System.getenv("CRAWLGATE_CA") != null) {
            builder.sslContext(trusting(Path.of(System.getenv("CRAWLGATE_CA"))));
        }
        client = builder.build();

        var page = ask(HttpRequest.newBuilder(target), "create");
        var session = page.headers().firstValue("X-Crawlera-Session").orElseThrow();
        System.out.println("session " + session + "\n" + page.body());

        var form = HttpRequest.newBuilder(target)
                .header("Content-Type", "application/x-www-form-urlencoded")
                .POST(BodyPublishers.ofString("q=blue+shoes"));
        System.out.println(ask(form, session).body());
    }

    static HttpResponse<String> ask(HttpRequest.Builder request, String session) throws Exception {
        var key = System.getenv("CRAWLGATE_API_KEY") + ":";
        request.header("Proxy-Authorization", "Basic " + Base64.getEncoder().encodeToString(key.getBytes()))
                .header("X-Crawlera-Session", session)
                .header("X-Crawlera-Profile", "desktop")
                .timeout(Duration.ofMinutes(10));
        var response = client.send(request.build(), BodyHandlers.ofString());
        var error = response.headers().firstValue("X-Crawlera-Error");
        if (error.isPresent()) {
            System.err.println(response.statusCode() + " " + error.get() + ": " + response.body());
            System.exit(1);
        }
        return response;
    }

    /** TLS that trusts the certificate in a PEM file and nothing else. */
    static SSLContext trusting(Path file) throws Exception {
        var store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null, null);
        try (InputStream pem = Files.newInputStream(file)) {
            store.setCertificateEntry("crawlgate", CertificateFactory.getInstance("X.509").generateCertificate(pem));
        }
        var trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(store);
        var context = SSLContext.getInstance("TLS");
        context.init(null, trust.getTrustManagers(), null);
        return context;
    }
}

import java.io.InputStream;
import java.net.Authenticator;
import java.net.InetSocketAddress;
import java.net.PasswordAuthentication;
import java.net.ProxySelector;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.time.Duration;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/** Fetches one page through crawlgate with java.net.http: java ClientFetch.java https://target.example/ */
public class ClientFetch {
    public static void main(String[] args) throws Exception {
        // Java answers no Basic challenge to CONNECT otherwise. It is read once, when the client's classes are loaded.
        System.setProperty("jdk.http.auth.tunneling.disabledSchemes", "");

        var target = URI.create(args.length > 0 ? args[0] : "https://target.example/");
        var proxy = System.getenv().getOrDefault("CRAWLGATE_PROXY", "127.0.0.1:8010").split(":");
        var builder = HttpClient.newBuilder()
                .version(HttpClient.Version.HTTP_1_1)
                .proxy(ProxySelector.of(new InetSocketAddress(proxy[0], Integer.parseInt(proxy[1]))))
                .authenticator(key(System.getenv("CRAWLGATE_API_KEY")));
        if (System.getenv("CRAWLGATE_CA") != null) {
            builder.sslContext(trusting(Path.of(System.getenv("CRAWLGATE_CA"))));
        }

        // The proxy holds a request back while the website's delay lasts.
        var request = HttpRequest.newBuilder(target).timeout(Duration.ofMinutes(10)).build();
        var response = builder.build().send(request, BodyHandlers.ofString());
        var headers = response.headers();
        var error = headers.firstValue("X-Crawlera-Error");
        if (error.isPresent()) {
            System.err.println(response.statusCode() + " " + error.get() + ": " + response.body());
            headers.firstValue("Retry-After").ifPresent(wait -> System.err.println("try again in " + wait + " s"));
            System.exit(1);
        }
        System.out.println(response.statusCode() + " through " + headers.firstValue("X-Crawlera-Slave").orElse(""));
        System.out.println(response.body());
    }

    static Authenticator key(String key) {
        return new Authenticator() {
            @Override
            protected PasswordAuthentication getPasswordAuthentication() {
                if (getRequestorType() != RequestorType.PROXY) return null;
                return new PasswordAuthentication(key, new char[0]);
            }
        };
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

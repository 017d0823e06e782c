import java.io.IOException;
import java.net.Authenticator;
import java.net.HttpURLConnection;
import java.net.InetSocketAddress;
import java.net.PasswordAuthentication;
import java.net.Proxy;
import java.net.URL;
import java.nio.charset.StandardCharsets;

/**
 * Fetches one page through crawlgate with HttpURLConnection:
 * java -Djavax.net.ssl.trustStore=trust.p12 -Djavax.net.ssl.trustStorePassword=changeit UrlFetch.java https://target.example/
 */
public class UrlFetch {
    public static void main(String[] args) throws IOException {
        // Java answers no Basic challenge to CONNECT otherwise. It is read once, before the first connection.
        System.setProperty("jdk.http.auth.tunneling.disabledSchemes", "");
        Authenticator.setDefault(key(System.getenv("CRAWLGATE_API_KEY")));

        var target = new URL(args.length > 0 ? args[0] : "https://target.example/");
        var address = System.getenv().getOrDefault("CRAWLGATE_PROXY", "127.0.0.1:8010").split(":");
        var proxy = new Proxy(Proxy.Type.HTTP, new InetSocketAddress(address[0], Integer.parseInt(address[1])));
        var connection = (HttpURLConnection) target.openConnection(proxy);
        // The proxy holds a request back while the website's delay lasts.
        connection.setReadTimeout(600_000);

        // A failed TLS handshake is thrown here; a refused tunnel shows its 407.
        var status = connection.getResponseCode();
        var error = connection.getHeaderField("X-Crawlera-Error");
        if (error != null) {
            System.err.println(status + " " + error + ": " + text(connection));
            var wait = connection.getHeaderField("Retry-After");
            if (wait != null) System.err.println("try again in " + wait + " s");
            System.exit(1);
        }
        System.out.println(status + " through " + connection.getHeaderField("X-Crawlera-Slave"));
        System.out.println(text(connection));
    }

    /** Where the status is 400 or more the body is in the error stream; there is none without a body. */
    static String text(HttpURLConnection connection) throws IOException {
        var failed = connection.getResponseCode() >= 400;
        try (var body = failed ? connection.getErrorStream() : connection.getInputStream()) {
            return body == null ? "" : new String(body.readAllBytes(), StandardCharsets.UTF_8);
        }
    }

    /** Gives the key once a thread: Java would repeat a wrong one twenty times. A right one it remembers by itself. */
    static Authenticator key(String key) {
        var given = ThreadLocal.withInitial(() -> false);
        return new Authenticator() {
            @Override
            protected PasswordAuthentication getPasswordAuthentication() {
                if (getRequestorType() != RequestorType.PROXY || given.get()) return null;
                given.set(true);
                return new PasswordAuthentication(key, new char[0]);
            }
        };
    }
}

import java.io.IOException;
import java.net.Authenticator;
import java.net.HttpURLConnection;
import java.net.InetSocketAddress;
import java.net.PasswordAuthentication;
import java.net.Proxy;
import java.net.URL;
import java.nio.charset.StandardCharsets;

/**
 * Opens a page, then sends a form through the same upstream with HttpURLConnection:
 * java -Djavax.net.ssl.trustStore=trust.p12 -Djavax.net.ssl.trustStorePassword=changeit UrlSession.java https://target.example/
 */
public class UrlSession {
    public static void main(String[] args) throws IOException {
        // Java answers no Basic challenge to CONNECT otherwise. It is read once, before the first connection.
        System.setProperty("jdk.http.auth.tunneling.disabledSchemes", "");
        Authenticator.setDefault(key(System.getenv("CRAWLGATE_API_KEY")));
        var target = new URL(args.length > 0 ? args[0] : "https://target.example/");

        var page = open(target, "create");
        var body = text(page);
        var session = page.getHeaderField("X-Crawlera-Session");
        System.out.println("session " + session + "\n" + body);

        var form = open(target, session);
        form.setDoOutput(true);
        form.setRequestProperty("Content-Type", "application/x-www-form-urlencoded");
        form.getOutputStream().write("q=blue+shoes".getBytes(StandardCharsets.UTF_8));
        System.out.println(text(form));
    }

    static HttpURLConnection open(URL target, String session) throws IOException {
        var address = System.getenv().getOrDefault("CRAWLGATE_PROXY", "127.0.0.1:8010").split(":");
        var proxy = new Proxy(Proxy.Type.HTTP, new InetSocketAddress(address[0], Integer.parseInt(address[1])));
        var connection = (HttpURLConnection) target.openConnection(proxy);
        connection.setReadTimeout(600_000);
        connection.setRequestProperty("X-Crawlera-Session", session);
        connection.setRequestProperty("X-Crawlera-Profile", "desktop");
        return connection;
    }

    /** Read to its end, the connection serves the next request. */
    static String text(HttpURLConnection connection) throws IOException {
        var error = connection.getHeaderField("X-Crawlera-Error");
        if (error != null) throw new IOException(connection.getResponseCode() + " " + error);
        try (var body = connection.getInputStream()) {
            return new String(body.readAllBytes(), StandardCharsets.UTF_8);
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

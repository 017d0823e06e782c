import java.net.*;
import java.util.*;

/** Knows nothing of proxies but for its Authenticator, or the header; a thread for each page. */
public class Plain {
    public static void main(String[] args) throws Exception {
        var key = System.getenv("CRAWLGATE_API_KEY");
        var stubborn = new Authenticator() {
            @Override
            protected PasswordAuthentication getPasswordAuthentication() {
                return new PasswordAuthentication(key, new char[0]);
            }
        };
        if (System.getProperty("header") == null) {
            Authenticator.setDefault(System.getProperty("stubborn") == null ? UrlFetch.key(key) : stubborn);
        }
        var all = new ArrayList<Thread>();
        for (var url : args) all.add(new Thread(() -> show(url)));
        for (var one : all) one.start();
        for (var one : all) one.join();
    }

    static void show(String url) {
        try {
            var connection = (HttpURLConnection) new URL(url).openConnection();
            if (System.getProperty("header") != null) {
                connection.setRequestProperty("Proxy-Authorization", System.getProperty("header"));
            }
            var status = connection.getResponseCode();
            System.out.println(status + " " + Objects.toString(connection.getHeaderField("X-Crawlera-Error"), ""));
        } catch (Exception failure) {
            System.out.println(failure);
        }
    }
}

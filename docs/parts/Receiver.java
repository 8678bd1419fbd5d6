// curl -so public-key.txt https://pay.example.com/public-key; java Receiver.java
import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.PublicKey;
import java.security.Signature;
import java.security.spec.X509EncodedKeySpec;
import java.util.Base64;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;

public class Receiver {
    static boolean isSigned(Map<String, String> fields, PublicKey key) {
        String text = new TreeMap<>(fields).entrySet().stream()
                .filter(field -> !field.getKey().equals("sign") && !field.getValue().matches(" *"))
                .map(field -> field.getKey() + "=" + field.getValue())
                .collect(Collectors.joining("&"));
        try {
            Signature signature = Signature.getInstance("SHA256withRSA");
            signature.initVerify(key);
            signature.update(text.getBytes(StandardCharsets.UTF_8));
            return signature.verify(Base64.getDecoder().decode(fields.getOrDefault("sign", "")));
        } catch (GeneralSecurityException | IllegalArgumentException error) {
            return false;
        }
    }

    static Map<String, String> form(String body) {
        Map<String, String> fields = new TreeMap<>();
        for (String pair : body.split("&")) {
            String[] parts = pair.split("=", 2);
            fields.put(decoded(parts[0]), parts.length == 2 ? decoded(parts[1]) : "");
        }
        return fields;
    }

    static String decoded(String text) {
        return URLDecoder.decode(text, StandardCharsets.UTF_8);
    }

    public static void main(String[] args) throws Exception {
        byte[] der = Base64.getDecoder().decode(Files.readString(Path.of("public-key.txt")).trim());
        PublicKey key = KeyFactory.getInstance("RSA").generatePublic(new X509EncodedKeySpec(der));
        int port = Integer.parseInt(System.getenv().getOrDefault("PORT", "9000"));
        HttpServer server = HttpServer.create(new InetSocketAddress(port), 0);
        server.createContext("/", exchange -> {
            String body = new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8);
            Map<String, String> fields = form(body);
            String answer = "fail";
            if (isSigned(fields, key) && fields.get("orderStatus").equals("PAY_SUC")) {
                // Look up appOrderNo, compare totalAmount, mark it paid unless it is already, commit; then answer.
                System.out.println("paid " + fields.get("appOrderNo") + " " + fields.get("totalAmount"));
                answer = "success";
            }
            exchange.sendResponseHeaders(200, answer.length());
            exchange.getResponseBody().write(answer.getBytes(StandardCharsets.US_ASCII));
            exchange.close();
        });
        server.start();
    }
}

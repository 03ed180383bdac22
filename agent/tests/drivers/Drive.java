import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import java.nio.file.Path;
import java.util.ArrayList;

/** Sends requests through the recipe until its input ends. Prints a line when the user changes, and at the end what failed. */
public class Drive {
    static volatile boolean ended;

    public static void main(String[] arguments) throws Exception {
        var config = new HikariConfig();
        config.setDataSource(new FollowingDataSource(arguments[0], Path.of(arguments[1])));
        config.setMaximumPoolSize(1);
        new Thread(() -> {
            try {
                System.in.readAllBytes();
            } catch (Exception error) {
                throw new RuntimeException(error);
            }
            ended = true;
        }).start();
        var failures = new ArrayList<String>();
        String seen = null;
        int requests = 0;
        try (var pool = new HikariDataSource(config)) {
            while (!ended) {
                requests += 1;
                try (var connection = pool.getConnection(); var statement = connection.createStatement();
                        var rows = statement.executeQuery("SELECT session_user")) {
                    rows.next();
                    String user = rows.getString(1);
                    if (!user.equals(seen)) {
                        seen = user;
                        System.out.println(user);
                    }
                } catch (Exception error) {
                    failures.add(error.toString());
                }
                // HikariCP's shortest lifetime is 30 seconds
                pool.getHikariPoolMXBean().softEvictConnections();
            }
        }
        System.out.println(failures.size() + " of " + requests + " requests failed " + failures.stream().findFirst().orElse(""));
    }
}

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import org.postgresql.ds.PGSimpleDataSource;

/**
 * A data source that follows rotations: each new connection logs in with the user and the password that are current then.
 *
 * <p>Needs PostgreSQL's JDBC driver, and a folder that the agent writes, with the files "username" and "password". A pool takes it in place
 * of a URL: {@code config.setDataSource(new FollowingDataSource(url, folder))} with HikariCP. An open connection outlives a rotation.
 */
public class FollowingDataSource extends PGSimpleDataSource {
    private final Path current;

    public FollowingDataSource(String url, Path folder) {
        setURL(url);
        current = folder.resolve("current");
    }

    @Override
    public Connection getConnection() throws SQLException {
        try {
            Path version = current.toRealPath(); // both files of one version
            return getConnection(Files.readString(version.resolve("username")), Files.readString(version.resolve("password")));
        } catch (IOException error) {
            throw new SQLException("cannot read the login below " + current + ": is the agent running?", error);
        }
    }
}

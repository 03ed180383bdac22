//! The peers: rotation functions in Python, as folders that the Lambda host starts.

use std::{
    env, fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

const FUNCTION: &str = include_str!("rotation.py");

/// AWS's functions for PostgreSQL: for a single user, and for alternating users.
pub const AWSS: [&str; 2] = [
    "SecretsManagerRDSPostgreSQLRotationSingleUser",
    "SecretsManagerRDSPostgreSQLRotationMultiUser",
];

/// Starts one of them, which does not change. It expects the roots where Lambda's image has them.
const STARTS_AWSS: &str = r#"
import os, pgdb

connect = pgdb.connect
pgdb.connect = lambda **options: connect(**options | {"sslrootcert": os.environ["TLS_CA_FILE"]})
os.environ["SECRETS_MANAGER_ENDPOINT"] = os.environ["AWS_ENDPOINT_URL"]

from lambda_function import lambda_handler as handler
"#;

/// What a package for Lambda contains if it brings its SDK, as ours does. Lambda brings the runtime.
const PACKAGES: [&str; 10] = [
    "boto3",
    "botocore",
    "dateutil",
    "jmespath",
    "psycopg",
    "psycopg_binary",
    "psycopg_binary.libs",
    "s3transfer",
    "six.py",
    "urllib3",
];

/// Writes the function and its start command to `folder`. Returns the command, for a world's options.
///
/// # Errors
///
/// The folder cannot be written.
pub fn function(python: &Path, folder: &Path) -> io::Result<PathBuf> {
    started(python, folder, FUNCTION, &[])
}

/// The same for one of AWS's functions, which is in the folder `function`.
///
/// # Errors
///
/// The folder cannot be written.
pub fn awss_function(python: &Path, function: &Path, folder: &Path) -> io::Result<PathBuf> {
    started(python, folder, STARTS_AWSS, &[function])
}

fn started(python: &Path, folder: &Path, code: &str, others: &[&Path]) -> io::Result<PathBuf> {
    // not the file that the link leads to: the link makes it find its packages
    let python = env::current_dir()?.join(python);
    fs::create_dir_all(folder)?;
    fs::write(folder.join("rotation.py"), code)?;
    let mut folders = folder.display().to_string();
    for other in others {
        folders += &format!(":{}", other.display());
    }
    let command = format!(
        "#!/bin/sh\nPYTHONPATH='{}' exec '{}' -m awslambdaric rotation.handler\n",
        folders,
        python.display()
    );
    let bootstrap = folder.join("bootstrap");
    fs::write(&bootstrap, command)?;
    fs::set_permissions(&bootstrap, fs::Permissions::from_mode(0o755))?;
    Ok(bootstrap)
}

/// The size of a package for Lambda, unpacked, in bytes.
///
/// # Errors
///
/// Python does not run, or lacks a package.
pub fn package(python: &Path) -> io::Result<u64> {
    let folder = ask(
        python,
        "import sysconfig; print(sysconfig.get_path('purelib'))",
    )?;
    let of = |package: &&str| size(&Path::new(&folder).join(package));
    PACKAGES.iter().map(of).sum()
}

/// The versions of Python and of the packages.
///
/// # Errors
///
/// Python does not run, or lacks a package.
pub fn versions(python: &Path) -> io::Result<String> {
    let code = "import platform, boto3, psycopg; \
        print(f'Python {platform.python_version()} with boto3 {boto3.__version__} and psycopg {psycopg.__version__}')";
    ask(python, code)
}

fn ask(python: &Path, code: &str) -> io::Result<String> {
    let output = Command::new(python).args(["-c", code]).output()?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        false => Err(io::Error::other(
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )),
    }
}

fn size(path: &Path) -> io::Result<u64> {
    let about = fs::metadata(path)?;
    if !about.is_dir() {
        return Ok(about.len());
    }
    fs::read_dir(path)?.map(|entry| size(&entry?.path())).sum()
}

//! The report, looked at in a real browser.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex},
};

use axum::{Router, extract::State, http::Uri, response::Html};
use serde_json::Value;

use crate::Drill;

/// Looks at the report in a frame: each plot's size and how many shapes are seen in it, what the document refers to, and
/// what was loaded for it. Then the frame is as narrow as a phone: how many plots each figure shows, how large their text is, and
/// what scrolls sideways.
const PROBE: &str = r#"<!doctype html><link rel="icon" href="data:,">
<iframe src="/report.html" width="1000" height="800"></iframe><pre></pre><script>
onload = () => {
  const frame = frames[0], report = frame.document;
  const isSeen = shape => { const box = shape.getBBox(); return box.width + box.height > 0; };
  const plots = [...report.querySelectorAll("figure")].map(figure => {
    const svg = figure.querySelector("svg"), box = svg.getBoundingClientRect();
    const shapes = [...svg.querySelectorAll("polyline, rect, circle")].filter(isSeen);
    const colors = shapes.flatMap(shape => [shape.getAttribute("stroke"), shape.getAttribute("fill")]);
    return { caption: figure.querySelector("figcaption").textContent, width: box.width, height: box.height,
             colors: [...new Set(colors)], marks: svg.querySelectorAll("[stroke='\#898781']").length };
  });
  const references = report.querySelectorAll("[src], [href]:not([download]), link, script, iframe, object, embed, form").length;
  const loaded = frame.performance.getEntriesByType("resource").length;
  const background = frame.getComputedStyle(report.querySelector("section")).backgroundColor;
  document.querySelector("iframe").width = 400;
  const phone = [...report.querySelectorAll("figure")].map(figure => {
    const shown = [...figure.querySelectorAll("svg")].filter(svg => svg.getBoundingClientRect().width > 0);
    const svg = shown[0], scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
    return { shown: shown.length, font: scale * svg.querySelector("text").getAttribute("font-size") };
  });
  const scrolls = [report.documentElement, ...report.querySelectorAll("figure, .plot, .scrolls")]
    .filter(element => element.scrollWidth > element.clientWidth).map(element => element.outerHTML.slice(0, 80));
  document.querySelector("pre").textContent =
    "<<" + JSON.stringify({ plots, references, loaded, background, phone, scrolls }) + ">>";
};
</script>"#;

/// By how a caption begins, the colours of what a plot draws for certain; that requests fail is not certain.
const COLORS: [(&str, &[&str]); 5] = [
    ("Served", &["#2A78D6", "#EB6834"]),
    ("Failed", &[]),
    ("Which version", &["#9EC5F4", "#1C5CAB"]),
    ("The longest", &["#898781", "#9EC5F4", "#1C5CAB"]),
    ("Latency", &["#003F63", "#D55E00", "#56B4E9"]),
];

/// Where `local/scripts/setup.sh browser` looks too.
fn browser() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let names = [
        "chromium",
        "chromium-browser",
        "google-chrome",
        "google-chrome-stable",
    ];
    let on_path =
        std::env::split_paths(&path).flat_map(|folder| names.map(|name| folder.join(name)));
    let mac = PathBuf::from("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome");
    let named = std::env::var_os("CHROMIUM").map(PathBuf::from);
    named.into_iter().chain(on_path).chain([mac]).find(|file| file.exists()).unwrap_or_else(|| {
        panic!("no browser: install one (apt-get install chromium), name it with CHROMIUM, or leave this test out with NO_BROWSER=1")
    })
}

type Asked = Arc<Mutex<Vec<String>>>;

/// The probe and the report on a port of their own; what is asked for is taken down.
async fn serve(report: String, asked: Asked) -> String {
    let answer = async |State((report, asked)): State<(String, Asked)>, uri: Uri| {
        asked.lock().unwrap().push(uri.to_string());
        Html(if uri.path() == "/report.html" {
            report
        } else {
            PROBE.to_owned()
        })
    };
    let router = Router::new().fallback(answer).with_state((report, asked));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    origin
}

/// The document after all has loaded, and the URLs that documents of ours asked for; what the browser asks for itself has
/// no document's origin.
fn look(origin: &str, profile: &Path) -> (String, Vec<String>) {
    let log = profile.join("net.json");
    let output = Command::new(browser())
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
        ])
        .args([
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ])
        .arg(format!(
            "--user-data-dir={}",
            profile.join("profile").display()
        ))
        .arg(format!("--log-net-log={}", log.display()))
        .args(["--dump-dom", origin])
        .output()
        .unwrap();
    let log: Value = serde_json::from_slice(&std::fs::read(log).unwrap()).unwrap();
    let events = log["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| &event["params"]);
    let ours = events.filter(|event| event["initiator"].as_str() == Some(origin));
    let urls = ours.filter_map(|event| event["url"].as_str().map(str::to_owned));
    let urls = urls.collect();
    (String::from_utf8(output.stdout).unwrap(), urls)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_full_local_report_draws_in_a_browser_and_loads_nothing_from_elsewhere() {
    if std::env::var_os("NO_BROWSER").is_some_and(|value| !value.is_empty()) {
        writeln!(
            std::io::stderr(),
            "skipped: the report in a browser: NO_BROWSER is set"
        )
        .unwrap();
        return;
    }
    let drill = || Drill::here(&["--rotations", "2"]);
    let drill = tokio::task::spawn_blocking(drill).await.unwrap();
    drill.assert_ended_with(0);
    // the demo is looked at in a terminal of 80 columns
    for line in drill.stdout().lines() {
        let fits = line.chars().count() <= 80 || line.starts_with("report: ");
        assert!(fits, "{line}");
    }
    let report = drill.report();
    assert!(report.contains("4 rotations; 0 of "), "{report}");
    assert!(report.contains("a plain cache lost "), "{report}");
    assert!(
        report.contains("rotatectl drill --rotations 2 "),
        "{report}"
    );
    let place = |words: &str| report.find(words).unwrap_or_else(|| panic!("{words}"));
    assert!(place("By kind of connections") < place("Served requests per second"));
    assert!(report.contains("default-src 'none'"), "{report}");
    let elsewhere = report.replace("http://www.w3.org/2000/svg", "");
    for reference in ["http:", "https:", "//", "url(", "@import"] {
        assert!(!elsewhere.contains(reference), "{reference} in {report}");
    }

    let asked = Asked::default();
    let origin = serve(report, asked.clone()).await;
    let profile = tempfile::tempdir().unwrap();
    let (page, urls) = {
        let (origin, profile) = (origin.clone(), profile.path().to_owned());
        tokio::task::spawn_blocking(move || look(&origin, &profile))
            .await
            .unwrap()
    };
    assert_eq!(*asked.lock().unwrap(), ["/", "/report.html"]);
    assert!(!urls.is_empty());
    assert!(
        urls.iter()
            .all(|url| *url == format!("{origin}/report.html")),
        "{urls:?}"
    );

    let seen = page
        .split_once("&lt;&lt;")
        .and_then(|(_, rest)| rest.split_once("&gt;&gt;"));
    let seen: Value = serde_json::from_str(seen.unwrap_or_else(|| panic!("{page}")).0).unwrap();
    assert_eq!(
        (&seen["references"], &seen["loaded"]),
        (&0.into(), &0.into()),
        "{seen}"
    );
    assert_eq!(
        seen["background"], "rgb(252, 252, 251)",
        "the policy lets the style through"
    );
    let plots = seen["plots"].as_array().unwrap();
    assert_eq!(plots.len(), 2 * 8, "{seen}");
    for plot in plots {
        let figure = |name: &str| plot[name].as_f64().unwrap();
        assert!(
            figure("width") > 600.0 && figure("height") > 100.0,
            "{plot}"
        );
        let caption = plot["caption"].as_str().unwrap();
        if !caption.contains("in detail") {
            assert!(figure("marks") >= 2.0 * 4.0, "{plot}");
        }
        let drawn = COLORS
            .iter()
            .find(|(begins, _)| caption.starts_with(begins));
        for color in drawn.unwrap_or_else(|| panic!("{caption}")).1 {
            let colors = plot["colors"].as_array().unwrap();
            assert!(colors.contains(&(*color).into()), "{color}: {plot}");
        }
    }
    let phone = seen["phone"].as_array().unwrap();
    assert_eq!(phone.len(), plots.len(), "{seen}");
    for figure in phone {
        assert_eq!(figure["shown"], 1, "{figure}");
        assert!(figure["font"].as_f64() > Some(11.0), "{figure}");
    }
    assert_eq!(seen["scrolls"], Value::Array(Vec::new()), "{seen}");
}

package metrics

import (
	"flag"
	"io"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"systole/crm/cib"
)

var update = flag.Bool("update", false, "rewrite the golden file")

func source(t testing.TB, file string) Source {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := cib.ParseCIB(text)
	if err != nil {
		t.Fatal(err)
	}
	return Source{
		Now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), CIB: doc,
		Node: "n1", DC: "n1", Cluster: "test", Version: "1.0", Quorum: true,
		Servers: []Server{
			{Node: "n1", Addr: "10.0.0.1:7737", Voter: true, Online: true},
			{Node: "n2", Addr: "10.0.0.2:7737", Voter: true, Online: true},
			{Node: "n3", Addr: "10.0.0.3:7737", Voter: true},
			{Node: "n4", Addr: "10.0.0.4:7737", Online: true},
		},
		Lease: 320 * time.Millisecond, Term: 7, Commit: 1001, Applied: 1000, FsyncP99: 2 * time.Millisecond,
		Datagrams: Datagrams{Sent: 10, Received: 9, Dropped: 1, Refused: 2}, FailedHandshakes: 3,
		CertificateEnds: map[string]time.Time{"n1": time.Unix(1800000000, 0), "n2": time.Unix(1800000001, 0)},
		BeatAge:         map[string]time.Duration{"n2": 50 * time.Millisecond},
	}
}

// scrape gives the exposition text of a source without the runtime's series.
func scrape(t testing.TB, s Source) string {
	t.Helper()
	rec := httptest.NewRecorder()
	Handler(func() Source { return s }).ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
	if rec.Code != 200 {
		t.Fatalf("status %d: %s", rec.Code, rec.Body)
	}
	body, err := io.ReadAll(rec.Body)
	if err != nil {
		t.Fatal(err)
	}
	var keep strings.Builder
	for line := range strings.Lines(string(body)) {
		name := strings.TrimPrefix(strings.TrimPrefix(line, "# HELP "), "# TYPE ")
		if (strings.HasPrefix(name, "ha_cluster_") || strings.HasPrefix(name, "systole_")) && !strings.HasPrefix(name, "ha_cluster_scrape_duration_seconds{") {
			keep.WriteString(line)
		}
	}
	return keep.String()
}

func TestGolden(t *testing.T) {
	const golden = "testdata/small.metrics"
	got := scrape(t, source(t, "testdata/small.xml"))
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What a dashboard depends on, line by line, whatever else the golden file holds.
func TestWhatDashboardsAsk(t *testing.T) {
	got := scrape(t, source(t, "testdata/small.xml"))
	for _, want := range []string{
		`ha_cluster_pacemaker_nodes{node="n1",status="dc",type="member"} 1`,
		`ha_cluster_pacemaker_nodes{node="n2",status="dc",type="member"} 0`,
		`ha_cluster_pacemaker_nodes{node="n1",status="online",type="member"} 1`,
		`ha_cluster_pacemaker_nodes{node="n2",status="standby",type="member"} 1`,
		`ha_cluster_pacemaker_node_attributes{name="site",node="n1",value="left"} 1`,
		`ha_cluster_pacemaker_resources{agent="ocf:heartbeat:IPaddr2",clone="",group="site",managed="true",node="n1",resource="vip",role="started",status="active"} 1`,
		`ha_cluster_pacemaker_resources{agent="ocf:heartbeat:Dummy",clone="web-clone",group="",managed="true",node="n1",resource="web",role="started",status="active"} 1`,
		`ha_cluster_pacemaker_resources{agent="ocf:heartbeat:Dummy",clone="",group="",managed="true",node="",resource="idle",role="stopped",status="active"} 0`,
		`ha_cluster_pacemaker_fail_count{node="n1",resource="vip"} 2`,
		`ha_cluster_pacemaker_fail_count{node="n1",resource="web"} +Inf`,
		`ha_cluster_pacemaker_migration_threshold{node="n1",resource="vip"} 5`,
		`ha_cluster_pacemaker_location_constraints{constraint="never",node="n2",resource="vip",role=""} -Inf`,
		`ha_cluster_pacemaker_location_constraints{constraint="rather",node="n1",resource="vip",role="started"} 50`,
		`ha_cluster_pacemaker_stonith_enabled 0`,
		`ha_cluster_pacemaker_config_last_change 1.772352e+09`,
		`ha_cluster_corosync_quorate 1`,
		`ha_cluster_corosync_quorum_votes{type="expected_votes"} 3`,
		`ha_cluster_corosync_quorum_votes{type="total_votes"} 2`,
		`ha_cluster_corosync_quorum_votes{type="quorum"} 2`,
		`ha_cluster_corosync_member_votes{local="true",node="n1",node_id="1"} 1`,
		`ha_cluster_corosync_ring_errors 1`,
		`ha_cluster_scrape_success{collector="pacemaker"} 1`,
		`systole_lease_remaining_seconds 0.32`,
		`systole_datagrams_total{result="refused"} 2`,
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("missing: %s", want)
		}
	}
}

// A node that knows nothing yet is scraped all the same.
func TestEmptySource(t *testing.T) {
	got := scrape(t, Source{Now: time.Unix(0, 0)})
	if !strings.Contains(got, "ha_cluster_corosync_quorate 0\n") || !strings.Contains(got, "systole_is_dc 0\n") {
		t.Errorf("got:\n%s", got)
	}
}

// Every series is described: help text, and names that follow the rules.
func TestFamiliesAreDescribed(t *testing.T) {
	for _, f := range families {
		d := f.desc.String()
		if strings.Contains(d, `help: ""`) {
			t.Errorf("without help: %s", d)
		}
		name := strings.TrimPrefix(strings.SplitN(d, `"`, 3)[1], "")
		if strings.HasPrefix(name, "systole_") && (f.kind == 1) != strings.HasSuffix(name, "_total") {
			t.Errorf("%s: a counter, and nothing else, ends in _total", name)
		}
	}
}

// BenchmarkScrape tells what a scrape of a small cluster costs.
func BenchmarkScrape(b *testing.B) {
	s := source(b, "testdata/small.xml")
	for b.Loop() {
		gather(s)
	}
}

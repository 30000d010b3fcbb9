package mysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"systole/resources"
)

// registry is the cluster's memory: a Cluster for every node.
type registry struct {
	mu        sync.Mutex
	kept      map[string]map[string]string // by node
	transient map[string]map[string]string
	active    []string
	deaf      bool // there is no DC
}

var errDeaf = errors.New("there is no DC")

func newRegistry() *registry {
	return &registry{kept: map[string]map[string]string{}, transient: map[string]map[string]string{}}
}

func (g *registry) put(m map[string]map[string]string, node, name, value string) error {
	if g.deaf {
		return errDeaf
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if m[node] == nil {
		m[node] = map[string]string{}
	}
	m[node][name] = value
	return nil
}

func (g *registry) Set(_ context.Context, op resources.Op, name, value string) error {
	return g.put(g.transient, op.Node, name, value)
}

func (g *registry) Transient(context.Context, resources.Op) (map[string]map[string]string, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := map[string]map[string]string{}
	for node, attrs := range g.transient {
		out[node] = maps.Clone(attrs)
	}
	return out, nil
}

func (g *registry) Keep(_ context.Context, op resources.Op, name, value string) error {
	return g.put(g.kept, op.Node, name, value)
}

func (g *registry) Score(_ context.Context, op resources.Op, score int) error {
	return g.put(g.transient, op.Node, "master-"+op.Instance, strconv.Itoa(score))
}

func (g *registry) Kept(context.Context, resources.Op) (map[string]map[string]string, error) {
	if g.deaf {
		return nil, errDeaf
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	out := map[string]map[string]string{}
	for node, attrs := range g.kept {
		out[node] = maps.Clone(attrs)
	}
	return out, nil
}

func (g *registry) Active(context.Context, resources.Op) ([]string, error) { return g.active, nil }

// template is a data directory as it is made, once for all tests.
var template struct {
	once sync.Once
	dir  string
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if template.dir != "" {
		os.RemoveAll(template.dir)
	}
	os.Exit(code)
}

func makeTemplate() {
	if template.dir, template.err = os.MkdirTemp("", "my-template"); template.err != nil {
		return
	}
	s, err := read(resources.Op{Params: map[string]string{"datadir": template.dir, "user": "root", "group": "root"}})
	if err == nil {
		err = s.install(context.Background(), ids{0, 0})
	}
	template.err = err
}

// machine is a real server of the test, in a directory of its own.
type machine struct {
	t      *testing.T
	agent  Agent
	op     resources.Op
	params map[string]string
	dir    string
}

// socketDir is a directory with a short name: socket paths are bounded.
func socketDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "my")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// newMachine makes an empty database; it is skipped where there is no server.
func newMachine(t *testing.T, node string) *machine {
	t.Helper()
	if _, err := program(""); err != nil {
		t.Skip("needs mariadb-server: ", err)
	}
	if os.Getuid() != 0 {
		t.Skip("needs root: the server of this test runs as root, and its root user comes by the socket")
	}
	dir := socketDir(t)
	m := &machine{t: t, dir: dir, params: map[string]string{
		"config": "/nonexistent", "datadir": filepath.Join(dir, "data"), "user": "root", "group": "root",
		"log": filepath.Join(dir, "error.log"), "pid": filepath.Join(dir, "pid"), "socket": filepath.Join(dir, "sock"),
		"additional_parameters": "--tmpdir=" + dir + " --skip-networking --innodb-buffer-pool-size=8M --innodb-log-file-size=8M --innodb-fast-shutdown=1",
	}}
	m.op = resources.Op{Resource: "db", Instance: "db", Node: node, Timeout: time.Minute, Interval: time.Second}
	template.once.Do(makeTemplate)
	if template.err != nil {
		t.Fatal(template.err)
	}
	if out, err := exec.Command("cp", "-a", "--sparse=always", template.dir, m.params["datadir"]).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Cleanup(m.kill)
	return m
}

// kill is a power cut.
func (m *machine) kill() {
	s, err := read(resources.Op{Params: m.params})
	if err != nil {
		return
	}
	if p, running := s.running(); running {
		s.end(context.Background(), p.PID, 0)
	}
}

func (m *machine) do(action resources.Action, want resources.Code) resources.Result {
	m.t.Helper()
	op := m.op
	op.Action, op.Params = action, m.params
	ctx, cancel := context.WithTimeout(m.t.Context(), op.Timeout)
	defer cancel()
	res := m.agent.Execute(ctx, op)
	if res.Code != want {
		m.t.Fatalf("%s of %s = %d (%s), want %d", action, op.Node, res.Code, res.Reason, want)
	}
	return res
}

// probe is a monitor without an interval.
func (m *machine) probe(want resources.Code) {
	m.t.Helper()
	defer func(d time.Duration) { m.op.Interval = d }(m.op.Interval)
	m.op.Interval = 0
	m.do(resources.ActionMonitor, want)
}

// session is the agent's own way to the server.
func (m *machine) session() *session {
	m.t.Helper()
	s, err := read(resources.Op{Params: m.params})
	if err != nil {
		m.t.Fatal(err)
	}
	c := s.local()
	m.t.Cleanup(c.Close)
	return c
}

func (m *machine) db() *sql.DB {
	m.t.Helper()
	return m.session().db
}

func (m *machine) exec(statement string) {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), 2*time.Minute)
	defer cancel()
	if _, err := m.db().ExecContext(ctx, statement); err != nil {
		m.t.Fatalf("%s: %s: %v", m.op.Node, statement, err)
	}
}

func (m *machine) word(query string) string {
	m.t.Helper()
	var s sql.NullString
	if err := m.db().QueryRowContext(m.t.Context(), query).Scan(&s); err != nil {
		m.t.Fatalf("%s: %s: %v", m.op.Node, query, err)
	}
	return s.String
}

func TestStandalone(t *testing.T) {
	m := newMachine(t, "a")
	m.probe(resources.NotRunning)
	m.do(resources.ActionStop, resources.OK)
	m.do(resources.ActionStart, resources.OK)
	m.do(resources.ActionStart, resources.OK) // adopts
	m.do(resources.ActionMonitor, resources.OK)
	m.op.CheckLevel = 10
	m.do(resources.ActionMonitor, resources.OK)
	m.op.CheckLevel = 0
	m.exec("CREATE DATABASE shop")

	os.Remove(m.params["pid"]) // the process is still found
	m.do(resources.ActionMonitor, resources.OK)

	noticed := make(chan bool)
	go func() {
		op := m.op
		op.Params = m.params
		noticed <- m.agent.Watch(t.Context(), op)
	}()
	m.kill()
	if !<-noticed {
		t.Error("the end of the server was not noticed")
	}
	m.do(resources.ActionMonitor, resources.NotRunning)
	m.do(resources.ActionStart, resources.OK)
	if got := m.word("SHOW DATABASES LIKE 'shop'"); got != "shop" {
		t.Errorf("after a crash there is %q", got)
	}
	if strings.Contains(m.said(), cleanEnd) {
		t.Error("a power cut looks like a clean end: what follows proves nothing")
	}
	m.do(resources.ActionStop, resources.OK)
	m.probe(resources.NotRunning)
	if said := m.said(); !strings.Contains(said, cleanEnd) {
		t.Errorf("a stop with a minute of time did not let the server end by itself:\n%s", said)
	}
}

// cleanEnd is the last a server says that has ended by itself.
const cleanEnd = "Shutdown complete"

// said is the server's log.
func (m *machine) said() string {
	m.t.Helper()
	text, err := os.ReadFile(m.params["log"])
	if err != nil {
		m.t.Fatal(err)
	}
	return string(text)
}

func TestHungServer(t *testing.T) {
	m := newMachine(t, "a")
	m.do(resources.ActionStart, resources.OK)
	s, _ := read(resources.Op{Params: m.params})
	p, _ := s.running()
	if err := unix.Kill(p.PID, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	m.op.Timeout = time.Second
	if res := m.do(resources.ActionMonitor, resources.ErrGeneric); res.Status != resources.StatusTimeout {
		t.Errorf("monitor of a stopped process = %+v", res)
	}
	m.op.Timeout = 4 * time.Second // of which three are for a clean shutdown
	m.do(resources.ActionStop, resources.OK)
	m.probe(resources.NotRunning)
}

func TestStartSaysWhatIsWrong(t *testing.T) {
	m := newMachine(t, "a")
	m.do(resources.ActionStart, resources.OK)
	m.do(resources.ActionStop, resources.OK)
	m.params["additional_parameters"] = "--nonsense"
	if res := m.do(resources.ActionStart, resources.ErrGeneric); !strings.Contains(res.Reason, "nonsense") {
		t.Errorf("reason %q", res.Reason)
	}
	m.params["datadir"] = filepath.Join(m.dir, "not-mounted")
	m.do(resources.ActionStart, resources.ErrInstalled)
	m.probe(resources.NotRunning)
	m.do(resources.ActionStop, resources.OK)
}

// clone is a promotable clone on as many nodes as are named.
type clone struct {
	*registry
	t        *testing.T
	machines map[string]*machine
	log      *strings.Builder
}

func newClone(t *testing.T, nodes ...string) *clone {
	t.Helper()
	c := &clone{registry: newRegistry(), t: t, machines: map[string]*machine{}, log: &strings.Builder{}}
	log := slog.New(slog.NewTextHandler(io.MultiWriter(c.log, t.Output()), nil))
	for i, node := range nodes {
		m := newMachine(t, node)
		addr := fmt.Sprintf("127.0.%d.%d", os.Getpid()%250+1, i+1)
		m.params["additional_parameters"] = strings.Replace(m.params["additional_parameters"], "--skip-networking", "--bind-address="+addr+" --port=33306 --slave-net-timeout=2", 1)
		m.params["replication_port"] = "33306"
		m.params["replication_passwd"] = "it's a \\secret"
		m.op.Meta = map[string]string{"promoted_max": "1"}
		m.agent = Agent{Cluster: c.registry, Log: log}
		c.put(c.kept, node, "db_mysql_master_IP", addr)
		c.machines[node] = m
	}
	return c
}

// newPair is a clone on a, the primary, and b, which holds everything.
func newPair(t *testing.T) (c *clone, a, b *machine) {
	c = newClone(t, "a", "b")
	a, b = c.machines["a"], c.machines["b"]
	c.running("a", "b")
	a.do(resources.ActionStart, resources.OK)
	b.do(resources.ActionStart, resources.OK)
	a.do(resources.ActionPromote, resources.OK)
	c.settle("b holds everything", c.protected("b"), "a", "b")
	return c, a, b
}

// running tells the agents where instances run, as notifications do.
func (c *clone) running(nodes ...string) {
	c.active = nodes
	for _, m := range c.machines {
		m.op.Meta["notify_active_uname"] = strings.Join(nodes, " ")
	}
}

// settle runs the monitors of the nodes until cond holds.
func (c *clone) settle(what string, cond func() bool, nodes ...string) {
	c.t.Helper()
	for range 100 {
		if cond() {
			return
		}
		for _, node := range nodes {
			m := c.machines[node]
			op := m.op
			op.Action, op.Params = resources.ActionMonitor, m.params
			m.agent.Execute(c.t.Context(), op)
		}
	}
	c.t.Fatalf("never: %s; kept %v", what, c.kept)
}

func (c *clone) note(node string) Note {
	c.t.Helper()
	n, err := ParseNote(c.kept[node]["db-lineage"])
	if err != nil {
		c.t.Fatal(err)
	}
	return n
}

// protected says that a replica may take over from a dead primary.
func (c *clone) protected(replica string) func() bool {
	return func() bool {
		text, ok := c.kept[replica]["db-lineage"]
		return ok && strings.HasSuffix(text, "state=in")
	}
}

func TestFailover(t *testing.T) {
	c := newClone(t, "a", "b")
	a, b := c.machines["a"], c.machines["b"]
	c.running("a", "b")
	a.do(resources.ActionStart, resources.OK)
	b.do(resources.ActionStart, resources.OK)
	a.do(resources.ActionPromote, resources.OK)
	a.do(resources.ActionPromote, resources.OK)
	a.probe(resources.RunningPromoted)
	a.exec("CREATE DATABASE shop")
	a.exec("CREATE TABLE shop.t (n INT PRIMARY KEY)")
	a.exec("INSERT INTO shop.t VALUES (1)")
	c.settle("b holds everything", c.protected("b"), "a", "b")
	a.exec("INSERT INTO shop.t VALUES (2)") // waits for b
	if _, err := b.db().Exec("SET SESSION sql_log_bin=0; INSERT INTO shop.t VALUES (9)"); err == nil {
		t.Error("a replica takes two statements")
	}

	a.kill()
	c.running("b")
	b.do(resources.ActionPromote, resources.OK)
	if got := b.word("SELECT GROUP_CONCAT(n ORDER BY n) FROM shop.t"); got != "1,2" {
		t.Errorf("b has %q", got)
	}
	if !strings.Contains(c.log.String(), "all that a confirmed was confirmed by b first") {
		t.Error("the proof is not in the log")
	}
	b.exec("INSERT INTO shop.t VALUES (3)") // alone

	// a comes back and follows, since it has nothing of its own.
	c.running("a", "b")
	a.do(resources.ActionStart, resources.OK)
	c.settle("a holds everything", c.protected("a"), "b", "a")
	if got := a.word("SELECT GROUP_CONCAT(n ORDER BY n) FROM shop.t"); got != "1,2,3" {
		t.Errorf("a has %q", got)
	}
	if got := a.word("SELECT @@global.read_only"); got != "1" {
		t.Error("a replica may be written")
	}

	a.do(resources.ActionMonitor, resources.OK)
	for node, score := range map[string]string{"a": "100", "b": "1000"} {
		if got, want := c.transient[node], map[string]string{"master-db": score, "db-lag": "0", "readable": "1"}; !maps.Equal(got, want) {
			t.Errorf("attributes of %s are %v, want %v", node, got, want)
		}
	}

	// A planned change of roles.
	b.do(resources.ActionDemote, resources.OK)
	a.do(resources.ActionPromote, resources.OK)
	c.settle("b follows", c.protected("b"), "a", "b")
	a.exec("INSERT INTO shop.t VALUES (4)")
	if n := c.note("a"); n.Term != 3 {
		t.Errorf("note of a: %v", n)
	}
}

// A former primary that wrote something nobody else has is kept out, and says so.
func TestDivergedPrimaryIsKeptOut(t *testing.T) {
	c := newClone(t, "a", "b")
	a, b := c.machines["a"], c.machines["b"]
	for _, m := range c.machines {
		m.params["semi_sync"] = "false"
	}
	c.running("a", "b")
	a.do(resources.ActionStart, resources.OK)
	b.do(resources.ActionStart, resources.OK)
	a.do(resources.ActionPromote, resources.OK)
	a.exec("CREATE DATABASE shop")
	a.exec("CREATE TABLE shop.t (n INT PRIMARY KEY)")
	c.settle("b follows", func() bool { return b.has("shop.t") }, "b")
	b.exec("STOP SLAVE") // the network between them breaks
	a.exec("INSERT INTO shop.t VALUES (1)")
	a.kill()

	// Nothing proves that b has everything, and it has not.
	c.running("b")
	if res := b.do(resources.ActionPromote, resources.ErrGeneric); !strings.Contains(res.Reason, "ran without a replica that confirmed") || !strings.Contains(res.Reason, "accept_data_loss") {
		t.Errorf("reason %q", res.Reason)
	}
	if got := b.word("SELECT @@global.read_only"); got != "1" {
		t.Fatal("b was refused and may be written")
	}
	b.params["accept_data_loss"] = "true"
	b.do(resources.ActionPromote, resources.OK)
	b.exec("INSERT INTO shop.t VALUES (2)")
	b.exec("INSERT INTO shop.t VALUES (3)")
	if !strings.Contains(c.log.String(), "promoted without proof") {
		t.Error("the loss is not in the log")
	}

	c.running("a", "b")
	res := a.do(resources.ActionStart, resources.ErrPerm)
	if !strings.Contains(res.Reason, "fenced out") || !strings.Contains(res.Reason, "rebuild") {
		t.Errorf("reason %q", res.Reason)
	}
	a.probe(resources.NotRunning)
}

// The one that is promoted need not be the most advanced: it fetches the rest first.
func TestPromotionCatchesUpFirst(t *testing.T) {
	c := newClone(t, "a", "b", "d")
	a, b, d := c.machines["a"], c.machines["b"], c.machines["d"]
	c.running("a", "b", "d")
	for _, m := range []*machine{a, b, d} {
		m.do(resources.ActionStart, resources.OK)
	}
	a.do(resources.ActionPromote, resources.OK)
	a.exec("CREATE DATABASE shop")
	a.exec("CREATE TABLE shop.t (n INT PRIMARY KEY)")
	c.settle("both hold everything", func() bool { return c.protected("b")() && c.protected("d")() }, "a", "b", "d")
	b.exec("STOP SLAVE")
	a.exec("INSERT INTO shop.t VALUES (1)") // confirmed by d
	a.kill()
	c.running("b", "d")
	b.do(resources.ActionPromote, resources.OK)
	if got := b.word("SELECT COUNT(*) FROM shop.t"); got != "1" {
		t.Errorf("b has %q rows", got)
	}
	if !strings.Contains(c.log.String(), "confirmed by b or d first") {
		t.Error("the proof is not in the log")
	}

	// With d gone as well, what d alone may have confirmed is missed.
	c.settle("d follows b", c.protected("d"), "b", "d")
	d.do(resources.ActionStop, resources.OK)
	c.running("b")
	c.settle("b goes on alone", func() bool { return len(c.note("b").With) == 0 }, "b")
	b.exec("INSERT INTO shop.t VALUES (2)")
}

// A power cut may damage the files in which a replica keeps what it has fetched. They are
// of no use here, since where to go on is in the tables.
func TestReplicaWithDamagedRelayLogFollows(t *testing.T) {
	for _, pattern := range []string{"master.info", "relay-log.info", "*relay*.index", "*relay*.0*"} {
		for _, damage := range []struct {
			name string
			do   func(path string) error
		}{
			{"empty", func(path string) error { return os.Truncate(path, 0) }},
			{"gone", os.Remove},
		} {
			t.Run(pattern+" "+damage.name, func(t *testing.T) {
				c, _, b := newPair(t)
				b.kill()
				files, err := filepath.Glob(filepath.Join(b.params["datadir"], pattern))
				if err != nil || len(files) == 0 {
					t.Fatalf("no %s: %v", pattern, err)
				}
				for _, f := range files {
					if err := damage.do(f); err != nil {
						t.Fatal(err)
					}
				}
				b.do(resources.ActionStart, resources.OK)
				c.settle("b follows", func() bool {
					return b.word("SELECT COUNT(*) FROM information_schema.processlist WHERE command IN ('Slave_IO', 'Slave_SQL')") == "2"
				}, "b")
			})
		}
	}
}

// A replica that is cut off resigns before commits stop waiting for it.
func TestCutOffReplicaResigns(t *testing.T) {
	c, a, b := newPair(t)
	b.exec("STOP SLAVE IO_THREAD")
	c.settle("a sees it", func() bool { m, _ := c.note("a").Member("b"); return m.Leaving }, "a")
	if got := a.word("SELECT @@global.rpl_semi_sync_master_enabled"); got != "1" {
		t.Error("a does not wait any more, and b has not resigned")
	}
	b.do(resources.ActionMonitor, resources.OK)
	if n := c.note("b"); n.State != StateOut {
		t.Errorf("note of b: %v", n)
	}
	a.do(resources.ActionMonitor, resources.RunningPromoted)
	a.exec("CREATE DATABASE shop") // alone
	c.settle("b is back", c.protected("b"), "a", "b")
}

// A node without quorum stops writing and stops its server, whoever listens.
func TestWithoutDC(t *testing.T) {
	c := newClone(t, "a")
	a := c.machines["a"]
	c.running("a")
	a.do(resources.ActionStart, resources.OK)
	a.do(resources.ActionPromote, resources.OK)
	a.exec("CREATE DATABASE shop")
	c.deaf = true
	a.do(resources.ActionDemote, resources.OK)
	if got := a.word("SELECT @@global.read_only"); got != "1" {
		t.Error("demoted, and it may be written")
	}
	a.do(resources.ActionPromote, resources.ErrGeneric)
	a.do(resources.ActionStop, resources.OK)
	a.probe(resources.NotRunning)
	c.deaf = false
	if n := c.note("a"); n.Role != RolePrimary {
		t.Errorf("note of a: %v", n)
	}
	a.do(resources.ActionStart, resources.OK)
	a.do(resources.ActionPromote, resources.OK) // its own return is the proof
}

func (m *machine) has(table string) bool {
	_, err := m.db().ExecContext(m.t.Context(), "SELECT 1 FROM "+table+" LIMIT 1")
	return err == nil
}

package mysql

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"systole/resources"
)

// await asks the server until the answer is there.
func (m *machine) await(what string, there func(context.Context, *session) (bool, error)) {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), 2*time.Minute)
	defer cancel()
	c := m.session()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		ok, err := there(ctx, c)
		if err != nil {
			m.t.Fatalf("%s: %s: %v", m.op.Node, what, err)
		}
		if ok {
			return
		}
		<-tick.C
	}
}

// awaitWord is await for one word.
func (m *machine) awaitWord(query, want string) {
	m.t.Helper()
	m.await(query, func(ctx context.Context, c *session) (bool, error) {
		got, err := c.word(ctx, query)
		return got == want, err
	})
}

// A replica that is too far behind is not read from, and fails where that is wanted.
func TestReplicaThatLags(t *testing.T) {
	c, a, b := newPair(t)
	a.exec("CREATE DATABASE shop")
	a.exec("CREATE TABLE shop.t (n INT PRIMARY KEY)")
	b.awaitWord("SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'shop'", "1")

	// A transaction of long ago arrives, and cannot be applied.
	reader := b.session()
	if err := reader.exec(t.Context(), "LOCK TABLE shop.t READ"); err != nil {
		t.Fatal(err)
	}
	const age = 2000
	if err := a.session().exec(t.Context(), "SET SESSION binlog_format=ROW", // a statement would say that it took so long
		"SET SESSION timestamp=UNIX_TIMESTAMP()-"+strconv.Itoa(age), "INSERT INTO shop.t VALUES (1)"); err != nil {
		t.Fatal(err)
	}
	b.awaitWord("SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'system user' AND state LIKE 'Waiting for table%lock'", "1")

	for _, s := range []struct {
		limit, evict string
		want         resources.Code
		readable     string
	}{
		{"1000000", "true", resources.OK, "1"},
		{"600", "false", resources.OK, "0"},
		{"600", "true", resources.ErrGeneric, "0"},
	} {
		b.params["max_slave_lag"], b.params["evict_outdated_slaves"] = s.limit, s.evict
		res := b.do(resources.ActionMonitor, s.want)
		if s.want != resources.OK && !strings.Contains(res.Reason, "more than max_slave_lag") {
			t.Errorf("reason %q", res.Reason)
		}
		got := c.transient["b"]
		if lag, err := strconv.Atoi(got["db-lag"]); err != nil || lag < age/2 || got["readable"] != s.readable {
			t.Errorf("limit %s, evict %s: attributes %v, want readable %s and a lag of %d or more", s.limit, s.evict, got, s.readable, age)
		}
	}

	if err := reader.exec(t.Context(), "UNLOCK TABLES"); err != nil {
		t.Fatal(err)
	}
	b.await("caught up", func(ctx context.Context, s *session) (bool, error) {
		now, err := s.replication(ctx)
		return now.lag == "0", err
	})
	b.do(resources.ActionMonitor, resources.OK)
	if got := c.transient["b"]; got["db-lag"] != "0" || got["readable"] != "1" {
		t.Errorf("caught up, and the attributes are %v", got)
	}
}

// A replica that asks for what its primary does not have is kept out, and says so.
func TestReplicaThatLostItsPlaceIsKeptOut(t *testing.T) {
	c := newClone(t, "a", "b")
	a, b := c.machines["a"], c.machines["b"]
	c.running("a")
	a.do(resources.ActionStart, resources.OK)
	a.do(resources.ActionPromote, resources.OK)
	a.exec("FLUSH BINARY LOGS")
	a.await("older logs thrown away", func(ctx context.Context, s *session) (bool, error) { // the server lets go of them when it has time
		if err := s.exec(ctx, "PURGE BINARY LOGS BEFORE NOW() + INTERVAL 1 DAY"); err != nil {
			return false, err
		}
		logs, err := s.rows(ctx, "SHOW BINARY LOGS")
		return len(logs) == 1, err
	})

	c.running("a", "b")
	b.do(resources.ActionStart, resources.OK)
	for range 2 { // a monitor does not make another forget
		b.await("refused", func(ctx context.Context, s *session) (bool, error) {
			now, err := s.replication(ctx)
			return now.fetchErrno == lostPlace, err
		})
		res := b.do(resources.ActionMonitor, resources.ErrPerm)
		if !strings.Contains(res.Reason, "fenced out") || !strings.Contains(res.Reason, "rebuild") {
			t.Errorf("reason %q", res.Reason)
		}
		if got := c.transient["b"]["master-db"]; got != "-1" {
			t.Errorf("promotion score %q", got)
		}
	}
}

func TestChangeMaster(t *testing.T) {
	const plain = `CHANGE MASTER TO MASTER_HOST='a', MASTER_PORT=3306, MASTER_USER='repl', MASTER_PASSWORD='it\'s', MASTER_USE_GTID=slave_pos, MASTER_CONNECT_RETRY=2`
	params := map[string]string{"replication_passwd": "it's"}
	check := func(want string) {
		t.Helper()
		if got := (Agent{}).replica(server{}, resources.Op{Params: params}).changeMaster("a", "3306"); got != want {
			t.Errorf("%v:\n%s, want\n%s", params, got, want)
		}
	}
	check(plain)
	params["replication_require_ssl"] = "true"
	check(plain + ", MASTER_SSL=1")
	params["replication_master_ssl_ca"], params["replication_master_ssl_cert"], params["replication_master_ssl_key"] = "/tls/ca.pem", "/tls/db.pem", "/tls/db.key"
	check(plain + ", MASTER_SSL=1, MASTER_SSL_CA='/tls/ca.pem', MASTER_SSL_CERT='/tls/db.pem', MASTER_SSL_KEY='/tls/db.key'")
	params["replication_require_ssl"] = "false"
	check(plain)
}

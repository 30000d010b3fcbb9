package mysql

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	driver "github.com/go-sql-driver/mysql"
)

// session asks one server. Every question is bounded by its context.
type session struct {
	db    *sql.DB
	where string
	wrong error // of its making; the first question returns it
}

// Close ends the connections.
func (c *session) Close() {
	if c.db != nil {
		c.db.Close()
	}
}

// local is a session at this node's server, by its socket.
func (s server) local() *session {
	return open("unix", s.socket, s.account, tlsOptions{})
}

// tlsOptions are how instances trust each other.
type tlsOptions struct {
	require       bool
	ca, cert, key string
}

func (o tlsOptions) config() (*tls.Config, error) {
	if !o.require {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: o.ca == ""} // as replicas without a CA do
	if o.ca != "" {
		pem, err := os.ReadFile(o.ca)
		if err != nil {
			return nil, fmt.Errorf("replication_master_ssl_ca: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		c.RootCAs.AppendCertsFromPEM(pem)
	}
	if o.cert != "" {
		pair, err := tls.LoadX509KeyPair(o.cert, o.key)
		if err != nil {
			return nil, fmt.Errorf("replication_master_ssl_cert: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

func open(network, addr string, a account, o tlsOptions) *session {
	cfg := driver.NewConfig()
	cfg.Net, cfg.Addr, cfg.User, cfg.Passwd = network, addr, a.user, a.password
	cfg.Timeout = askWithin
	cfg.InterpolateParams = true // one round trip
	cfg.Logger = quiet{}
	var err error
	if cfg.TLS, err = o.config(); err != nil {
		return &session{where: addr, wrong: err}
	}
	connector, err := driver.NewConnector(cfg)
	if err != nil {
		return &session{where: addr, wrong: err}
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(1) // SET SESSION holds for what follows
	return &session{db: db, where: addr}
}

// quiet drops the driver's own log: errors are returned.
type quiet struct{}

func (quiet) Print(...any) {}

// exec runs statements one after the other.
func (c *session) exec(ctx context.Context, statements ...string) error {
	if c.wrong != nil {
		return c.wrong
	}
	for _, s := range statements {
		if _, err := c.db.ExecContext(ctx, s); err != nil {
			return fmt.Errorf("%s: %s: %w", c.where, verb(s), err)
		}
	}
	return nil
}

// verb is the beginning of a statement: what follows may hold a password.
func verb(statement string) string {
	words := strings.Fields(statement)
	return strings.Join(words[:min(3, len(words))], " ")
}

// word is the only field of the only row.
func (c *session) word(ctx context.Context, query string, args ...any) (string, error) {
	if c.wrong != nil {
		return "", c.wrong
	}
	var s sql.NullString
	if err := c.db.QueryRowContext(ctx, query, args...).Scan(&s); err != nil {
		return "", fmt.Errorf("%s: %w", c.where, err)
	}
	return s.String, nil
}

// rows are an answer's fields by name.
func (c *session) rows(ctx context.Context, query string) ([]map[string]string, error) {
	if c.wrong != nil {
		return nil, c.wrong
	}
	rows, err := c.db.QueryContext(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.where, err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.where, err)
	}
	var out []map[string]string
	for rows.Next() {
		fields := make([]sql.NullString, len(names))
		into := make([]any, len(names))
		for i := range fields {
			into[i] = &fields[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, fmt.Errorf("%s: %w", c.where, err)
		}
		row := map[string]string{}
		for i, name := range names {
			row[name] = fields[i].String
		}
		out = append(out, row)
	}
	return out, rows.Err()
}

// quote makes a string literal, for the statements that take no parameters.
func quote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\x00", `\0`, "\n", `\n`, "\r", `\r`, "\x1a", `\Z`).Replace(s) + "'"
}

// missing tells whether an error says that a table or database is not there.
func missing(err error) bool {
	e, ok := errors.AsType[*driver.MySQLError](err)
	return ok && (e.Number == 1049 || e.Number == 1146)
}

// timedOut tells whether a statement gave up waiting for locks.
func timedOut(err error) bool {
	e, ok := errors.AsType[*driver.MySQLError](err)
	return ok && e.Number == 1205
}

// The agent's own database. The term table is replicated with everything else,
// so holding a row is holding the history up to it.
const (
	termTable = "systole.term"
	beatTable = "systole.beat"
)

// instance asks a server what it holds.
func (c *session) instance(ctx context.Context, node string) (Instance, error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	i := Instance{Node: node}
	first, err := c.rows(ctx, "SELECT @@global.gtid_binlog_pos AS logged, @@global.gtid_slave_pos AS applied, @@global.read_only AS ro")
	if err != nil {
		return i, err
	}
	i.ReadOnly = first[0]["ro"] != "0"
	if i.Applied, err = union(first[0]["logged"], first[0]["applied"]); err != nil {
		return i, fmt.Errorf("%s: %w", node, err)
	}
	if i.History, err = c.history(ctx); err != nil {
		return i, err
	}
	if n := len(i.History); n > 0 {
		i.Term, i.Nonce = i.History[n-1].Term, i.History[n-1].Nonce
	}
	r, err := c.replication(ctx)
	if err == nil && r.applying {
		i.Received = r.received
	}
	return i, err
}

func union(a, b string) (Position, error) {
	p, err1 := ParsePosition(a)
	q, err2 := ParsePosition(b)
	return p.Union(q), errors.Join(err1, err2)
}

// history is the table of terms; empty where there is none yet.
func (c *session) history(ctx context.Context) (out []Promotion, err error) {
	rows, err := c.rows(ctx, "SELECT term, node, nonce, at FROM "+termTable+" ORDER BY term")
	if missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		p := Promotion{Node: row["node"], Nonce: row["nonce"]}
		if _, err := fmt.Sscan(row["term"], &p.Term); err != nil {
			return nil, fmt.Errorf("%s: table %s: term %q: %w", c.where, termTable, row["term"], err)
		}
		if p.At, err = ParsePosition(row["at"]); err != nil {
			return nil, fmt.Errorf("%s: table %s: %w", c.where, termTable, err)
		}
		out = append(out, p)
	}
	return out, nil
}

// replication is what SHOW SLAVE STATUS says.
type replication struct {
	configured bool
	source     string // host:port
	fetching   bool   // connected, or trying to
	connected  bool
	applying   bool
	received   Position
	lag        string // seconds; "" if not known
	fetchError string
	fetchErrno string
	applyError string
}

// lostPlace is the error of a primary that does not have what a replica asks
// for next (ER_MASTER_FATAL_ERROR_READING_BINLOG).
const lostPlace = "1236"

func (c *session) replication(ctx context.Context) (r replication, err error) {
	rows, err := c.rows(ctx, "SHOW SLAVE STATUS")
	if err != nil || len(rows) == 0 {
		return r, err
	}
	s := rows[0]
	r = replication{
		configured: true, source: net.JoinHostPort(s["Master_Host"], s["Master_Port"]),
		fetching: s["Slave_IO_Running"] != "No", connected: s["Slave_IO_Running"] == "Yes", applying: s["Slave_SQL_Running"] == "Yes",
		lag: s["Seconds_Behind_Master"], fetchError: s["Last_IO_Error"], fetchErrno: s["Last_IO_Errno"], applyError: s["Last_SQL_Error"],
	}
	r.received, err = ParsePosition(s["Gtid_IO_Pos"])
	return r, err
}

// status is a status variable.
func (c *session) status(ctx context.Context, name string) (string, error) {
	rows, err := c.rows(ctx, "SHOW GLOBAL STATUS LIKE "+quote(name))
	if err != nil || len(rows) == 0 {
		return "", err
	}
	return rows[0]["Value"], nil
}

// reach waits until the server has applied a position, at most for d.
func (c *session) reach(ctx context.Context, p Position, d time.Duration) error {
	if len(p) == 0 {
		return nil
	}
	done, err := c.word(ctx, "SELECT MASTER_GTID_WAIT(?, ?)", p.String(), d.Seconds())
	if err == nil && done != "0" {
		err = fmt.Errorf("%s: %q was not applied within %v", c.where, p, d)
	}
	return err
}

package probe

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"net"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/lib/pq"
)

// mysql reads the greeting, or asks a query as a user.
func (q *question) mysql(ctx context.Context) (answer, error) {
	if q.User == "" {
		return q.mysqlGreeting(ctx)
	}
	secret, err := q.password()
	if err != nil {
		return answer{}, err
	}
	c := mysql.NewConfig()
	c.User, c.Passwd, c.DBName = q.User, secret, q.Database
	c.Net, c.Addr, c.Logger = "tcp", q.server.String(), &mysql.NopLogger{}
	c.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) { return q.dial(ctx, "tcp") }
	connector, err := mysql.NewConnector(c)
	if err != nil {
		return answer{}, err
	}
	return q.row(ctx, connector)
}

// pgsql does the start-up exchange, or asks a query as a user.
func (q *question) pgsql(ctx context.Context) (answer, error) {
	if q.User == "" {
		return q.pgsqlStartup(ctx)
	}
	secret, err := q.password()
	if err != nil {
		return answer{}, err
	}
	connector, err := pq.NewConnectorConfig(pq.Config{
		Host: q.server.Addr().String(), Port: q.server.Port(), User: q.User, Password: secret,
		Database: cmp.Or(q.Database, q.User), SSLMode: pq.SSLModePrefer, ApplicationName: "systole-check",
	})
	if err != nil {
		return answer{}, err
	}
	connector.Dialer(pqDialer{ctx, q})
	return q.row(ctx, connector)
}

// pqDialer is the driver's view of dial; the context is the one question's.
type pqDialer struct {
	ctx context.Context
	q   *question
}

func (d pqDialer) Dial(_, _ string) (net.Conn, error) { return d.q.dial(d.ctx, "tcp") }
func (d pqDialer) DialTimeout(_, _ string, _ time.Duration) (net.Conn, error) {
	return d.Dial("", "")
}

// row asks the query, which must give one, on a connection of its own.
func (q *question) row(ctx context.Context, connector driver.Connector) (answer, error) {
	db := sql.OpenDB(connector)
	defer db.Close()
	rows, err := db.QueryContext(ctx, cmp.Or(q.Query, "SELECT 1"))
	if err != nil {
		return answer{}, err
	}
	defer rows.Close()
	if !rows.Next() {
		return answer{}, cmp.Or(rows.Err(), errors.New("the query gave no row"))
	}
	return says("the query gave a row")
}

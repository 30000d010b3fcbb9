// Package probe asks servers whether they are well: one prober for each kind
// of agents/check. Each question uses a connection of its own, ends at the
// context's deadline whatever the server does, and is answered by one phrase
// that an administrator understands. It keeps no state between questions and
// starts nothing that outlives one.
package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"

	"systole/agents/check"
)

// Prober asks one server one time. It is safe for concurrent use.
type Prober func(ctx context.Context) check.Result

// question is one check with all of it that can be made ready beforehand.
type question struct {
	check.Spec
	server netip.AddrPort // where to ask; the port is 0 for kinds without one
	tls    *tls.Config    // nil: none is spoken
}

// New makes the prober of a check. An error says what makes it impossible
// whatever the server does.
func New(c check.Check) (Prober, error) {
	q := &question{Spec: c.Spec}
	ask, ok := map[check.Kind]func(context.Context) (answer, error){
		check.None: q.none, check.TCP: q.tcp, check.DNS: q.dns, check.SMTP: q.smtp, check.FTP: q.ftp,
		check.IMAP: q.imap, check.POP3: q.pop3, check.LDAP: q.ldap, check.MySQL: q.mysql, check.PgSQL: q.pgsql,
		check.Ping: q.ping, check.UDP: q.udp, check.Script: q.script, check.File: q.file,
		check.HTTP: q.http, check.HTTPS: q.http,
	}[c.Spec.Kind]
	if !ok {
		return nil, fmt.Errorf("check %s: no prober of this kind", c.Spec.Kind)
	}
	if err := q.address(c.Target); err != nil {
		return nil, fmt.Errorf("check %s of %s: %w", c.Spec.Kind, c.Target, err)
	}
	if err := q.secure(); err != nil {
		return nil, fmt.Errorf("check %s of %s: %w", c.Spec.Kind, c.Target, err)
	}
	return func(ctx context.Context) check.Result {
		a, err := ask(ctx)
		if err != nil {
			return check.Result{Reason: q.phrase(ctx, err)}
		}
		return check.Result{OK: true, Weight: a.weight, Reason: a.text}
	}, nil
}

// answer is a good one: what it was, for people, and the weight it asks for.
type answer struct {
	text   string
	weight check.Weight
}

func says(format string, args ...any) (answer, error) {
	return answer{text: fmt.Sprintf(format, args...)}, nil
}

func (q *question) none(context.Context) (answer, error) { return says("not asked") }

// address fills in where to ask.
func (q *question) address(target netip.AddrPort) error {
	addr, port := target.Addr(), target.Port()
	if q.ConnectTo.IsValid() {
		addr = q.ConnectTo
	}
	if q.Port != 0 {
		port = q.Port
	}
	if port == 0 {
		port = q.Kind.WellKnownPort()
	}
	q.server = netip.AddrPortFrom(addr.Unmap(), port)
	switch q.Kind {
	case check.None, check.File, check.Script:
		return nil
	case check.Ping:
		port = 1 // it has none
	}
	if !addr.IsValid() {
		return errors.New("no address: name the server or write connect-to=…")
	}
	if port == 0 {
		return errors.New("no port: write port=…")
	}
	if q.Source.IsValid() && q.Source.Is4() != q.server.Addr().Is4() {
		return fmt.Errorf("option source: %s is of another family than the server", q.Source)
	}
	return nil
}

// maxAnswer bounds what is read of one answer.
const maxAnswer = 64 << 10

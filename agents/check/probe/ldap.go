package probe

import (
	"context"
	"fmt"

	"github.com/go-ldap/ldap/v3"
)

// ldap binds, and looks for one entry if the check names it.
func (q *question) ldap(ctx context.Context) (answer, error) {
	conn, err := q.stream(ctx)
	if err != nil {
		return answer{}, err
	}
	l := ldap.NewConn(conn, q.tls != nil)
	l.Start()
	defer l.Close()
	if err := q.bindTo(l); err != nil {
		return answer{}, fmt.Errorf("bind: %w", err)
	}
	if q.Base == "" {
		return says("bind accepted")
	}
	found, err := l.Search(ldap.NewSearchRequest(q.Base, ldap.ScopeBaseObject, ldap.NeverDerefAliases,
		1, 0, true, "(objectClass=*)", []string{"1.1"}, nil))
	if err != nil {
		return answer{}, fmt.Errorf("search for %s: %w", q.Base, err)
	}
	if len(found.Entries) == 0 {
		return answer{}, fmt.Errorf("no entry %s", q.Base)
	}
	return says("entry found")
}

func (q *question) bindTo(l *ldap.Conn) error {
	if q.User == "" {
		return l.UnauthenticatedBind("")
	}
	secret, err := q.password()
	if err != nil {
		return err
	}
	return l.Bind(q.User, secret)
}

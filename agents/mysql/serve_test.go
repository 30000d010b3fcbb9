package mysql

import (
	"testing"

	"systole/resources"
)

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

package probe

import (
	"bufio"
	"crypto/sha1"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// ldapServer accepts the binds of nobody and of cn=joe with "pass", and has the
// entry dc=here. Messages are shorter than 128 bytes: one byte of length each.
func ldapServer(conn net.Conn) {
	in := bufio.NewReader(conn)
	for {
		header := make([]byte, 2)
		if _, err := io.ReadFull(in, header); err != nil {
			return
		}
		body := make([]byte, header[1])
		if _, err := io.ReadFull(in, body); err != nil {
			return
		}
		id, op, text := body[2], body[3], string(body)
		reply := func(kind, code byte) {
			conn.Write([]byte{0x30, 12, 2, 1, id, kind, 7, 10, 1, code, 4, 0, 4, 0})
		}
		switch {
		case op == 0x60 && (strings.HasSuffix(text, "\x04\x00\x80\x00") || strings.HasSuffix(text, "\x04\x06cn=joe\x80\x04pass")):
			reply(0x61, 0)
		case op == 0x60:
			reply(0x61, 49) // invalidCredentials
		case op == 0x63 && strings.Contains(text, "dc=here"):
			conn.Write([]byte("\x30\x10\x02\x01" + string(id) + "\x64\x0b\x04\x07dc=here\x30\x00"))
			reply(0x65, 0)
		case op == 0x63:
			reply(0x65, 32) // noSuchObject
		}
	}
}

func TestLDAP(t *testing.T) {
	t.Setenv("CHECK_TEST_PASSWORD", "pass")
	t.Setenv("CHECK_TEST_WRONG", "no")
	at := serve(t, ldapServer)
	wantUp(t, "anonymous", ask(t, "ldap timeout=10s", at), "bind accepted")
	wantUp(t, "as joe", ask(t, "ldap user=cn=joe password-env=CHECK_TEST_PASSWORD timeout=10s", at), "bind accepted")
	wantDown(t, "wrong password", ask(t, "ldap user=cn=joe password-env=CHECK_TEST_WRONG timeout=10s", at), "bind: LDAP Result Code 49")
	wantUp(t, "entry", ask(t, "ldap base=dc=here timeout=10s", at), "entry found")
	wantDown(t, "no entry", ask(t, "ldap base=dc=there timeout=10s", at), `search for dc=there: LDAP Result Code 32`)
	wantDown(t, "another protocol", ask(t, "ldap timeout=10s", serve(t, func(c net.Conn) { c.Write([]byte("220 mail\r\n")) })), "")
}

// mysqlScramble proves "pass" to a server that greets with salt (mysql_native_password).
func mysqlScramble(salt string) string {
	once := sha1.Sum([]byte("pass"))
	twice := sha1.Sum(once[:])
	mask := sha1.Sum(append([]byte(salt), twice[:]...))
	for i := range mask {
		mask[i] ^= once[i]
	}
	return string(mask[:])
}

// mysqlServer lets joe in, and cn=joe with "pass"; it has the database here. It gives a
// row for SELECT 1 and none for anything else.
func mysqlServer(conn net.Conn) {
	in := bufio.NewReader(conn)
	sequence := byte(0)
	send := func(payload string) {
		conn.Write(append([]byte{byte(len(payload)), byte(len(payload) >> 8), 0, sequence}, payload...))
		sequence++
	}
	read := func() string {
		header := make([]byte, 4)
		if _, err := io.ReadFull(in, header); err != nil {
			return ""
		}
		payload := make([]byte, int(header[0])|int(header[1])<<8)
		io.ReadFull(in, payload)
		sequence = header[3] + 1
		return string(payload)
	}
	const ok, eof = "\x00\x00\x00\x02\x00\x00\x00", "\xfe\x00\x00\x02\x00"
	send("\x0a8.0.1\x00\x01\x00\x00\x0012345678\x00\xff\xf7\x21\x02\x00\x08\x00\x15" + strings.Repeat("\x00", 10) + "123456789012\x00mysql_native_password\x00")
	who := read()
	if !strings.Contains(who, "\x00joe\x00\x00") && !strings.Contains(who, "\x00cn=joe\x00\x14"+mysqlScramble("12345678123456789012")) {
		send("\xff\x15\x04#28000Access denied")
		return
	}
	if strings.Contains(who, "\x00there\x00") {
		send("\xff\x19\x04#42000Unknown database")
		return
	}
	send(ok)
	for {
		switch command := read(); {
		case command == "", command[0] == 1: // COM_QUIT
			return
		case strings.HasPrefix(command, "\x03SELECT"):
			send("\x01")
			send("\x03def\x00\x00\x00\x011\x00\x0c\x3f\x00\x01\x00\x00\x00\x08\x81\x00\x00\x00\x00")
			send(eof)
			if command == "\x03SELECT 1" {
				send("\x011")
			}
			send(eof)
		default:
			send(ok)
		}
	}
}

func TestMySQLAsAUser(t *testing.T) {
	at := serve(t, mysqlServer)
	wantUp(t, "joe", ask(t, "mysql user=joe timeout=10s", at), "the query gave a row")
	wantDown(t, "no row", ask(t, "mysql user=joe query='SELECT 2' timeout=10s", at), "the query gave no row")
	wantUp(t, "database", ask(t, "mysql user=joe database=here timeout=10s", at), "the query gave a row")
	wantDown(t, "no database", ask(t, "mysql user=joe database=there timeout=10s", at), "Error 1049 (42000): Unknown database")
	wantDown(t, "ann", ask(t, "mysql user=ann timeout=10s", at), "Error 1045 (28000): Access denied")
	wantUp(t, "greeting", ask(t, "mysql timeout=10s", at), "version 8.0.1")
}

// pgsqlServer lets joe in with "pass", and gives a row for SELECT 1 only.
func pgsqlServer(conn net.Conn) {
	in := bufio.NewReader(conn)
	read := func(kinds int) (kind byte, body string) {
		header := make([]byte, kinds+4)
		if _, err := io.ReadFull(in, header); err != nil {
			return 0, ""
		}
		b := make([]byte, binary.BigEndian.Uint32(header[kinds:])-4)
		io.ReadFull(in, b)
		return header[0], string(b)
	}
	send := func(kind byte, body string) {
		conn.Write(append(binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(body)+4)), body...))
	}
	fail := func(state, text string) { send('E', "SFATAL\x00C"+state+"\x00M"+text+"\x00\x00") }
	_, hello := read(0)
	if hello == "\x04\xd2\x16\x2f" { // SSLRequest
		conn.Write([]byte("N"))
		_, hello = read(0)
	}
	if !strings.Contains(hello, "user\x00joe\x00") && !strings.Contains(hello, "user\x00cn=joe\x00") {
		fail("28000", "no such role")
		return
	}
	if strings.Contains(hello, "database\x00there\x00") {
		fail("3D000", "no such database")
		return
	}
	send('R', "\x00\x00\x00\x03")
	if _, password := read(1); password != "pass\x00" {
		fail("28P01", "password authentication failed")
		return
	}
	send('R', "\x00\x00\x00\x00")
	send('Z', "I")
	for {
		kind, query := read(1)
		if kind != 'Q' {
			return
		}
		send('T', "\x00\x01a\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x17\x00\x04\xff\xff\xff\xff\x00\x00")
		if query == "SELECT 1\x00" {
			send('D', "\x00\x01\x00\x00\x00\x011")
		}
		send('C', "SELECT 1\x00")
		send('Z', "I")
	}
}

func TestPgSQLAsAUser(t *testing.T) {
	t.Setenv("CHECK_TEST_PASSWORD", "pass")
	t.Setenv("CHECK_TEST_WRONG", "no")
	at := serve(t, pgsqlServer)
	wantUp(t, "joe", ask(t, "pgsql user=joe password-env=CHECK_TEST_PASSWORD timeout=10s", at), "the query gave a row")
	wantDown(t, "no row", ask(t, "pgsql user=joe password-env=CHECK_TEST_PASSWORD query='SELECT 2' timeout=10s", at), "the query gave no row")
	wantDown(t, "no database", ask(t, "pgsql user=joe database=there password-env=CHECK_TEST_PASSWORD timeout=10s", at), "no such database")
	wantDown(t, "wrong password", ask(t, "pgsql user=joe password-env=CHECK_TEST_WRONG timeout=10s", at), "password authentication failed")
	wantUp(t, "start-up", ask(t, "pgsql timeout=10s", at), "takes connections")
}

// nameServer answers by the first label of the name.
func nameServer(t *testing.T) netip.AddrPort {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, r *dns.Msg) {
		m := new(dns.Msg).SetReply(r)
		add := func(record string) {
			rr, err := dns.NewRR(record)
			if err != nil {
				t.Error(err)
				return
			}
			m.Answer = append(m.Answer, rr)
		}
		switch name := r.Question[0].Name; name {
		case ".":
			add(". 60 IN SOA a. b. 1 2 3 4 5")
		case "www.example.org.":
			add("www.example.org. 60 IN A 192.0.2.80")
			add("www.example.org. 60 IN A 192.0.2.81")
		case "strange.example.org.": // an answer to another question comes first
			other := new(dns.Msg).SetReply(r)
			other.Id++
			w.WriteMsg(other)
			add("strange.example.org. 60 IN A 192.0.2.82")
		case "large.example.org.":
			m.Truncated = true
		case "lame.example.org.":
			m.Rcode = dns.RcodeServerFailure
		case "silent.example.org.":
			return
		}
		w.WriteMsg(m)
	})}
	go s.ActivateAndServe()
	t.Cleanup(func() { s.Shutdown() })
	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

func TestDNS(t *testing.T) {
	at := nameServer(t)
	for _, c := range []struct {
		spec   string
		up     bool
		reason string
	}{
		{"dns", true, "1 records"},
		{"dns name=www.example.org type=A", true, "2 records"},
		{"dns name=www.example.org. type=A regex=192.0.2.81$", true, "192.0.2.81"},
		{"dns name=www.example.org type=A regex=192.0.2.99$", false, "none of 2 records matches regex"},
		{"dns name=strange.example.org type=A regex=192.0.2.82", true, "192.0.2.82"},
		{"dns name=large.example.org type=TXT", true, "0 records"},
		{"dns name=empty.example.org type=A", false, "no record for empty.example.org A"},
		{"dns name=lame.example.org type=A", false, "SERVFAIL for lame.example.org A: wanted NOERROR"},
	} {
		r := ask(t, c.spec+" timeout=10s", at)
		if c.up {
			wantUp(t, c.spec, r, c.reason)
		} else {
			wantDown(t, c.spec, r, c.reason)
		}
	}
	wantDown(t, "silent", ask(t, "dns name=silent.example.org timeout=100ms", at), silent)
	wantDown(t, "refused", ask(t, "dns timeout=10s", refusingUDP(t)), "connection refused")
	wantDown(t, "nonsense", ask(t, "dns timeout=10s", datagrams(t, func([]byte) string { return "?" })), "answer: ")
}

// datagrams answers each by f; "" is no answer.
func datagrams(t *testing.T, f func([]byte) string) netip.AddrPort {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		buf := make([]byte, 2048)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			if text := f(buf[:n]); text != "" {
				conn.WriteTo([]byte(text), from)
			}
		}
	}()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

func refusingUDP(t *testing.T) netip.AddrPort {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

func TestUDP(t *testing.T) {
	echo := datagrams(t, func(b []byte) string { return "you said " + string(b) })
	quiet := datagrams(t, func([]byte) string { return "" })
	wantUp(t, "echo", ask(t, "udp send=hex:616263 expect=abc$ timeout=10s", echo), "the answer matches")
	wantUp(t, "any answer", ask(t, "udp send=a timeout=10s", echo), "answered with 10 bytes")
	wantUp(t, "an empty question", ask(t, "udp timeout=10s", echo), "answered with 9 bytes")
	wantUp(t, "bytes", ask(t, "udp expect=hex:79xx75 timeout=10s", echo), "the answer matches")
	wantDown(t, "wrong", ask(t, "udp send=a expect=b timeout=100ms", echo), `"you said a" does not match expect`)
	wantUp(t, "silence is consent", ask(t, "udp timeout=100ms", quiet), "no ICMP error within 100ms")
	wantDown(t, "no answer", ask(t, "udp expect=. timeout=100ms", quiet), silent)
	wantDown(t, "refused", ask(t, "udp timeout=10s", refusingUDP(t)), "connection refused")
	wantDown(t, "refused, expecting", ask(t, "udp expect=. timeout=10s", refusingUDP(t)), "connection refused")
}

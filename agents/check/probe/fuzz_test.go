package probe

import (
	"bufio"
	"strings"
	"testing"
)

// What servers send is read without harm: an answer or an error, never both.
func FuzzGreetings(f *testing.F) {
	f.Add([]byte("\x0a8.0.1\x00xxx"))
	f.Add([]byte("\xff\x10\x04Too many"))
	f.Add([]byte("C28000\x00Mno\x00\x00"))
	f.Add([]byte("C57P03\x00Mwait"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, packet []byte) {
		if a, err := mysqlHandshake(packet); (a.text == "") == (err == nil) {
			t.Errorf("%q: %q and %v", packet, a.text, err)
		}
		for _, kind := range []byte("REvS") {
			if a, err := pgsqlAnswer(kind, packet); (a.text == "") == (err == nil) {
				t.Errorf("%c%q: %q and %v", kind, packet, a.text, err)
			}
		}
	})
}

func FuzzReply(f *testing.F) {
	f.Add("220-mail\r\n220 ready\r\n")
	f.Add("421 busy\n")
	f.Add("220-a\n221 b\n")
	f.Add("22")
	f.Fuzz(func(t *testing.T, text string) {
		d := dialogue{in: bufio.NewReader(strings.NewReader(text))}
		code, said, err := d.reply("220", "250")
		if err == nil && (code != "220" && code != "250" || !strings.HasPrefix(said, code) || !strings.HasSuffix(text, "\n") && !strings.Contains(text, "\n")) {
			t.Errorf("%q read as %q, %q", text, code, said)
		}
	})
}

func FuzzNumber(f *testing.F) {
	f.Add("-7\n")
	f.Add("99999999999")
	f.Fuzz(func(t *testing.T, text string) {
		n, err := parseNumber("/f", text)
		if err != nil && n != 0 {
			t.Errorf("%q is %d and %v", text, n, err)
		}
	})
}

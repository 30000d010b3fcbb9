package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/textproto"
	"strings"
)

// dialogue is a connection of a protocol that talks in lines. No answer of a
// server is read beyond maxAnswer bytes.
type dialogue struct {
	*textproto.Conn
}

func (q *question) talk(ctx context.Context) (dialogue, error) {
	conn, err := q.stream(ctx)
	if err != nil {
		return dialogue{}, err
	}
	return dialogue{textproto.NewConn(struct {
		io.Reader
		io.WriteCloser
	}{io.LimitReader(conn, maxAnswer), conn})}, nil
}

// ask sends a line and reads a reply with a numeric code, as SMTP and FTP have
// them. An empty line is not sent.
func (d dialogue) ask(line string, code int) (string, error) {
	if line != "" {
		if err := d.PrintfLine("%s", line); err != nil {
			return "", err
		}
	}
	got, text, err := d.ReadResponse(code)
	if err != nil {
		var reply *textproto.Error
		if errors.As(err, &reply) {
			return "", fmt.Errorf("the server said %d %s: wanted %d", got, text, code)
		}
	}
	return fmt.Sprintf("%d %s", got, text), err
}

// smtp: RFC 5321. A server that knows no EHLO gets HELO.
func (q *question) smtp(ctx context.Context) (answer, error) {
	d, err := q.talk(ctx)
	if err != nil {
		return answer{}, err
	}
	defer d.Close()
	greeting, err := d.ask("", 220)
	if err != nil {
		return answer{}, err
	}
	if _, err := d.ask("EHLO "+q.Helo, 250); err != nil {
		if _, err := d.ask("HELO "+q.Helo, 250); err != nil {
			return answer{}, err
		}
	}
	d.PrintfLine("QUIT") // politeness: the verdict stands
	return answer{text: clip(greeting)}, nil
}

// ftp: RFC 959.
func (q *question) ftp(ctx context.Context) (answer, error) {
	d, err := q.talk(ctx)
	if err != nil {
		return answer{}, err
	}
	defer d.Close()
	text, err := d.ask("", 220)
	if err == nil && q.User != "" {
		text, err = q.ftpLogin(d)
	}
	if err != nil {
		return answer{}, err
	}
	d.PrintfLine("QUIT")
	return answer{text: clip(text)}, nil
}

func (q *question) ftpLogin(d dialogue) (string, error) {
	secret, err := q.password()
	if err != nil {
		return "", err
	}
	if err := d.PrintfLine("USER %s", q.User); err != nil {
		return "", err
	}
	code, text, err := d.ReadResponse(0)
	switch {
	case err != nil:
		return "", err
	case code == 230: // no password needed
		return fmt.Sprintf("%d %s", code, text), nil
	case code != 331:
		return "", fmt.Errorf("the server said %d %s to the user: wanted 331", code, text)
	}
	return d.ask("PASS "+secret, 230)
}

// imap: RFC 9051.
func (q *question) imap(ctx context.Context) (answer, error) {
	d, err := q.talk(ctx)
	if err != nil {
		return answer{}, err
	}
	defer d.Close()
	text, err := d.line("* OK", "* PREAUTH")
	if err == nil && q.User != "" {
		text, err = q.imapLogin(d)
	}
	if err != nil {
		return answer{}, err
	}
	d.PrintfLine("z LOGOUT")
	return answer{text: clip(text)}, nil
}

func (q *question) imapLogin(d dialogue) (string, error) {
	secret, err := q.password()
	if err != nil {
		return "", err
	}
	quoted := func(s string) string { return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"` }
	if err := d.PrintfLine("a LOGIN %s %s", quoted(q.User), quoted(secret)); err != nil {
		return "", err
	}
	for {
		text, err := d.ReadLine()
		if err != nil || strings.HasPrefix(text, "a OK") {
			return text, err
		}
		if !strings.HasPrefix(text, "*") {
			return "", fmt.Errorf("the server said %q to the log-in", clip(text))
		}
	}
}

// pop3: RFC 1939.
func (q *question) pop3(ctx context.Context) (answer, error) {
	d, err := q.talk(ctx)
	if err != nil {
		return answer{}, err
	}
	defer d.Close()
	text, err := d.line("+OK")
	if err == nil && q.User != "" {
		text, err = q.pop3Login(d)
	}
	if err != nil {
		return answer{}, err
	}
	d.PrintfLine("QUIT")
	return answer{text: clip(text)}, nil
}

func (q *question) pop3Login(d dialogue) (string, error) {
	secret, err := q.password()
	if err != nil {
		return "", err
	}
	if err := d.PrintfLine("USER %s", q.User); err != nil {
		return "", err
	}
	if _, err := d.line("+OK"); err != nil {
		return "", err
	}
	if err := d.PrintfLine("PASS %s", secret); err != nil {
		return "", err
	}
	return d.line("+OK")
}

// line reads one that begins with one of the words.
func (d dialogue) line(words ...string) (string, error) {
	text, err := d.ReadLine()
	if err != nil {
		return "", err
	}
	for _, w := range words {
		if strings.HasPrefix(text, w) {
			return text, nil
		}
	}
	return "", fmt.Errorf("the server said %q: wanted %s", clip(text), strings.Join(words, " or "))
}

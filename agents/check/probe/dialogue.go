package probe

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
)

// dialogue is a connection of a protocol that talks in lines. No more than
// maxAnswer bytes of the server are read.
type dialogue struct {
	net.Conn
	in *bufio.Reader
}

func (d dialogue) say(line string) error {
	_, err := io.WriteString(d, line+"\r\n")
	return err
}

// line reads one that begins with one of the words, if there are any. A line
// without its end is none.
func (d dialogue) line(words ...string) (string, error) {
	text, err := d.in.ReadString('\n')
	if err != nil {
		return "", err
	}
	text = strings.TrimRight(text, "\r\n")
	begins := func(word string) bool { return strings.HasPrefix(text, word) }
	if len(words) > 0 && !slices.ContainsFunc(words, begins) {
		return "", fmt.Errorf("the server said %q: wanted %s", clip(text), strings.Join(words, " or "))
	}
	return text, nil
}

// reply reads one of SMTP or FTP (RFC 5321 §4.2.1, RFC 959 §4.2): lines that
// begin with the same three digits, the last without a hyphen after them. Its
// code must be among the wanted.
func (d dialogue) reply(wanted ...string) (code, text string, err error) {
	first, err := d.line()
	if err != nil {
		return "", "", err
	}
	code, text = first[:min(3, len(first))], first
	for more := strings.HasPrefix(first, code+"-"); more; {
		line, err := d.line()
		if err != nil {
			return "", "", err
		}
		more = !strings.HasPrefix(line, code+" ")
	}
	if !slices.Contains(wanted, code) {
		return "", "", fmt.Errorf("the server said %q: wanted %s", clip(text), strings.Join(wanted, " or "))
	}
	return code, text, nil
}

// ask sends a line and reads the reply to it.
func (d dialogue) ask(line string, wanted ...string) (code, text string, err error) {
	if err := d.say(line); err != nil {
		return "", "", err
	}
	return d.reply(wanted...)
}

// smtp: RFC 5321. A server that knows no EHLO gets HELO.
func (q *question) smtp(ctx context.Context) (answer, error) {
	return q.converse(ctx, "QUIT", func(d dialogue) (string, error) {
		_, greeting, err := d.reply("220")
		if err != nil {
			return "", err
		}
		if _, _, err := d.ask("EHLO "+q.Helo, "250"); err != nil {
			if _, _, err := d.ask("HELO "+q.Helo, "250"); err != nil {
				return "", err
			}
		}
		return greeting, nil
	})
}

// ftp: RFC 959.
func (q *question) ftp(ctx context.Context) (answer, error) {
	return q.converse(ctx, "QUIT", func(d dialogue) (string, error) {
		_, text, err := d.reply("220")
		if err != nil || q.User == "" {
			return text, err
		}
		secret, err := q.password()
		if err != nil {
			return "", err
		}
		code, text, err := d.ask("USER "+q.User, "230", "331")
		if code == "331" {
			_, text, err = d.ask("PASS "+secret, "230")
		}
		return text, err
	})
}

// imap: RFC 9051.
func (q *question) imap(ctx context.Context) (answer, error) {
	return q.converse(ctx, "z LOGOUT", func(d dialogue) (string, error) {
		text, err := d.line("* OK", "* PREAUTH")
		if err != nil || q.User == "" {
			return text, err
		}
		secret, err := q.password()
		if err != nil {
			return "", err
		}
		if err := d.say("a LOGIN " + imapQuoted(q.User) + " " + imapQuoted(secret)); err != nil {
			return "", err
		}
		for strings.HasPrefix(text, "*") && err == nil {
			text, err = d.line("*", "a OK")
		}
		return text, err
	})
}

func imapQuoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// pop3: RFC 1939.
func (q *question) pop3(ctx context.Context) (answer, error) {
	return q.converse(ctx, "QUIT", func(d dialogue) (string, error) {
		text, err := d.line("+OK")
		if err != nil || q.User == "" {
			return text, err
		}
		secret, err := q.password()
		if err != nil {
			return "", err
		}
		for _, command := range []string{"USER " + q.User, "PASS " + secret} {
			if err := d.say(command); err != nil {
				return "", err
			}
			if text, err = d.line("+OK"); err != nil {
				return "", err
			}
		}
		return text, nil
	})
}

// converse connects, talks and takes leave.
func (q *question) converse(ctx context.Context, leave string, talk func(dialogue) (string, error)) (answer, error) {
	conn, err := q.stream(ctx)
	if err != nil {
		return answer{}, err
	}
	defer conn.Close()
	d := dialogue{conn, bufio.NewReader(io.LimitReader(conn, maxAnswer))}
	text, err := talk(d)
	if err != nil {
		return answer{}, err
	}
	d.say(leave) // politeness: the verdict stands
	return answer{text: clip(text)}, nil
}

package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// dial connects to the server. Whatever is done on the connection ends with ctx.
func (q *question) dial(ctx context.Context, network string) (net.Conn, error) {
	d := net.Dialer{Control: q.control, KeepAlive: -1}
	if q.Source.IsValid() {
		if network == "udp" {
			d.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(q.Source, 0))
		} else {
			d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(q.Source, 0))
		}
	}
	conn, err := d.DialContext(ctx, network, q.server.String())
	if err != nil {
		return nil, err
	}
	return bind(ctx, conn), nil
}

// stream is dial for TCP, with TLS if asked for.
func (q *question) stream(ctx context.Context) (net.Conn, error) {
	conn, err := q.dial(ctx, "tcp")
	if err != nil || q.tls == nil {
		return conn, err
	}
	secured := tls.Client(conn, q.tls)
	if err := secured.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, fmt.Errorf("TLS: %w", err)
	}
	return secured, nil
}

// control sets what the check says of its packets' way.
func (q *question) control(_, _ string, raw syscall.RawConn) error {
	var err error
	if e := raw.Control(func(fd uintptr) { err = q.mark(int(fd)) }); e != nil {
		return e
	}
	return err
}

func (q *question) mark(fd int) error {
	if q.SourceMark != 0 {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, int(q.SourceMark)); err != nil {
			return fmt.Errorf("option source-mark: %w", err)
		}
	}
	if q.Device != "" {
		if err := unix.BindToDevice(fd, q.Device); err != nil {
			return fmt.Errorf("option device: %s: %w", q.Device, err)
		}
	}
	return nil
}

// bound is a connection whose I/O ends with a context.
type bound struct {
	net.Conn
	stop func() bool
}

func bind(ctx context.Context, conn net.Conn) *bound {
	return &bound{conn, context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })}
}

func (b *bound) Close() error {
	b.stop()
	return b.Conn.Close()
}

// SetDeadline and its kin belong to the context, not to a protocol's library.
func (b *bound) SetDeadline(time.Time) error      { return nil }
func (b *bound) SetReadDeadline(time.Time) error  { return nil }
func (b *bound) SetWriteDeadline(time.Time) error { return nil }

// secure makes ready what TLS needs.
func (q *question) secure() error {
	if !q.TLS {
		return nil
	}
	q.tls = &tls.Config{ServerName: q.SNI, InsecureSkipVerify: !q.Verify}
	if q.tls.ServerName == "" {
		q.tls.ServerName = q.server.Addr().String() // never sent, as it is no name; verified as an address
		if name, _, err := net.SplitHostPort(q.Host); err == nil {
			q.tls.ServerName = name
		} else if q.Host != "" {
			q.tls.ServerName = q.Host
		}
	}
	if q.CAFile == "" {
		return nil
	}
	pem, err := os.ReadFile(q.CAFile)
	if err != nil {
		return fmt.Errorf("option ca-file: %w", err)
	}
	q.tls.RootCAs = x509.NewCertPool()
	if !q.tls.RootCAs.AppendCertsFromPEM(pem) {
		return fmt.Errorf("option ca-file: no certificate in PEM form in %s", q.CAFile)
	}
	return nil
}

// password reads the secret. It never becomes part of an error.
func (q *question) password() (string, error) {
	secret := ""
	switch {
	case q.PasswordFile != "":
		text, err := os.ReadFile(q.PasswordFile)
		if err != nil {
			return "", fmt.Errorf("option password-file: %w", err)
		}
		secret, _, _ = strings.Cut(string(text), "\n")
		secret = strings.TrimSuffix(secret, "\r")
	case q.PasswordEnv != "":
		var ok bool
		if secret, ok = os.LookupEnv(q.PasswordEnv); !ok {
			return "", fmt.Errorf("option password-env: the environment has no %s", q.PasswordEnv)
		}
	}
	if strings.ContainsAny(secret, "\r\n\x00") {
		return "", errors.New("the password has more than one line: no server takes that")
	}
	return secret, nil
}

// phrase is an error in an administrator's words.
func (q *question) phrase(ctx context.Context, err error) string {
	var wrong mismatchError
	var call *os.SyscallError
	var path *fs.PathError
	switch {
	case errors.As(err, &wrong):
		return wrong.Error()
	case ctx.Err() != nil, errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded): // dialling may notice first
		return fmt.Sprintf("no complete answer within %s", q.Timeout)
	case errors.As(err, &path):
		return clip(err.Error())
	case errors.As(err, &call):
		return clip(call.Err.Error() + " (" + q.place() + ")")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the server closed the connection without a complete answer"
	}
	return clip(err.Error())
}

func (q *question) place() string {
	if q.server.Port() == 0 {
		return q.server.Addr().String()
	}
	return q.server.String()
}

// maxReason bounds a phrase: it goes into status displays.
const maxReason = 200

// clip makes one bounded line of text that a server may have chosen.
func clip(text string) string {
	text = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, "?"), func(r rune) bool { return r < ' ' || r == 0x7f }), " ")
	if len(text) > maxReason {
		text = strings.ToValidUTF8(text[:maxReason], "") + "…"
	}
	return text
}

// Package fastcgi asks a FastCGI server one question: the client's side of
// FastCGI 1.0 (responder role), as php-fpm speaks it.
package fastcgi

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// askWithin bounds one question; the caller asks again.
const askWithin = 10 * time.Second

// maxAnswer is how much of an answer is kept, in bytes; a longer one is an error.
const maxAnswer = 4 << 20

// Request is what is asked.
type Request struct {
	// Script is the file to run (SCRIPT_FILENAME); for ping and status pages of
	// php-fpm, their path.
	Script string
	// URL is what a browser would have asked for; path and query count.
	URL string
	// Root is the document root, "" without one.
	Root string
	// Params are further variables, outweighing those made of the above.
	Params map[string]string
}

// Response is the answer.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
	Stderr string
}

// Address tells the network of an address: a path, host:port, or a port alone.
func Address(listen string) (network, addr string) {
	switch {
	case strings.Contains(listen, "/"):
		return "unix", strings.TrimPrefix(listen, "unix:")
	case !strings.Contains(listen, ":"):
		return "tcp", net.JoinHostPort("127.0.0.1", listen)
	}
	host, port, err := net.SplitHostPort(listen)
	if err == nil && (host == "" || host == "*" || host == "0.0.0.0") {
		return "tcp", net.JoinHostPort("127.0.0.1", port)
	}
	return "tcp", listen
}

// Ask asks a server, on a connection of its own.
func Ask(ctx context.Context, listen string, q Request) (Response, error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	network, addr := Address(listen)
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return Response{}, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	message, err := q.encode()
	if err != nil {
		return Response{}, err
	}
	if _, err := conn.Write(message); err != nil {
		return Response{}, fmt.Errorf("ask %s: %w", listen, err)
	}
	r, err := Read(conn)
	if err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("no answer in time: %w", context.Cause(ctx))
		}
		return r, fmt.Errorf("ask %s: %w", listen, err)
	}
	return r, nil
}

// Record types, role and ids (FastCGI specification 1.0, section 8).
const (
	version      = 1
	beginRequest = 1
	endRequest   = 3
	params       = 4
	stdin        = 5
	stdout       = 6
	stderr       = 7
	responder    = 1
	requestID    = 1
	headerSize   = 8
)

func (q Request) encode() ([]byte, error) {
	u, err := url.Parse(q.URL)
	if err != nil {
		return nil, err
	}
	vars := map[string]string{
		"GATEWAY_INTERFACE": "CGI/1.1", "SERVER_PROTOCOL": "HTTP/1.1", "SERVER_SOFTWARE": "systole", "REQUEST_METHOD": "GET",
		"REMOTE_ADDR": "127.0.0.1", "REMOTE_PORT": "0", "SERVER_ADDR": "127.0.0.1", "SERVER_PORT": "80", "SERVER_NAME": "localhost",
		"SCRIPT_FILENAME": q.Script, "SCRIPT_NAME": u.Path, "DOCUMENT_URI": u.Path, "REQUEST_URI": u.RequestURI(), "QUERY_STRING": u.RawQuery,
		"DOCUMENT_ROOT": q.Root, "CONTENT_LENGTH": "0", "CONTENT_TYPE": "", "REDIRECT_STATUS": "200",
	}
	if u.Host != "" {
		vars["HTTP_HOST"], vars["SERVER_NAME"] = u.Host, u.Hostname()
	}
	if u.Scheme == "https" {
		vars["HTTPS"], vars["SERVER_PORT"] = "on", "443"
	}
	maps.Copy(vars, q.Params)
	var pairs []byte
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		pairs = append(length(length(pairs, len(name)), len(vars[name])), name...)
		pairs = append(pairs, vars[name]...)
	}
	out := record(nil, beginRequest, []byte{0, responder, 0, 0, 0, 0, 0, 0})
	for chunk := range slices.Chunk(pairs, 65535) {
		out = record(out, params, chunk)
	}
	return record(record(out, params, nil), stdin, nil), nil
}

func length(b []byte, n int) []byte {
	if n < 128 {
		return append(b, byte(n))
	}
	return binary.BigEndian.AppendUint32(b, uint32(n)|1<<31)
}

func record(b []byte, typ byte, content []byte) []byte {
	b = append(b, version, typ, 0, requestID)
	b = binary.BigEndian.AppendUint16(b, uint16(len(content)))
	return append(append(b, 0, 0), content...)
}

// Read reads an answer to its end.
func Read(r io.Reader) (Response, error) {
	var out, errs bytes.Buffer
	in := bufio.NewReader(r)
	for {
		var head [headerSize]byte
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return Response{}, fmt.Errorf("the answer breaks off: %w", err)
		}
		if head[0] != version {
			return Response{}, errors.New("the answer is not FastCGI")
		}
		content := make([]byte, binary.BigEndian.Uint16(head[4:]))
		if _, err := io.ReadFull(in, content); err != nil {
			return Response{}, fmt.Errorf("the answer breaks off: %w", err)
		}
		if _, err := in.Discard(int(head[6])); err != nil {
			return Response{}, fmt.Errorf("the answer breaks off: %w", err)
		}
		if out.Len()+errs.Len()+len(content) > maxAnswer {
			return Response{}, fmt.Errorf("the answer is longer than %d bytes", maxAnswer)
		}
		switch head[1] {
		case stdout:
			out.Write(content)
		case stderr:
			errs.Write(content)
		case endRequest:
			if len(content) < headerSize {
				return Response{}, errors.New("the answer's end is too short")
			}
			if status := content[4]; status != 0 {
				return Response{}, fmt.Errorf("the server refused the request (protocol status %d)", status)
			}
			return parse(out.Bytes(), strings.ToValidUTF8(strings.TrimSpace(errs.String()), "?"))
		}
	}
}

// parse reads the header and body of a CGI answer.
func parse(answer []byte, errs string) (Response, error) {
	r := Response{Status: http.StatusOK, Stderr: errs}
	in := bufio.NewReader(bytes.NewReader(answer))
	header, err := textproto.NewReader(in).ReadMIMEHeader()
	if err != nil {
		return r, fmt.Errorf("header of the answer: %w", err)
	}
	r.Header = http.Header(header)
	if s := header.Get("Status"); s != "" {
		code, _, _ := strings.Cut(s, " ")
		if r.Status, err = strconv.Atoi(code); err != nil || r.Status < 100 || r.Status > 999 {
			return r, fmt.Errorf("status %q of the answer is no number", s)
		}
	}
	r.Body, err = io.ReadAll(in)
	return r, err
}

// Package web asks servers whether they answer.
package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"time"
)

const (
	// askWithin bounds one question; the caller asks again.
	askWithin = 5 * time.Second
	// maxBody is how much of an answer is looked at.
	maxBody = 256 << 10
)

// Connect opens and closes a TCP connection.
func Connect(ctx context.Context, addr string) error {
	d := net.Dialer{Timeout: askWithin}
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	return conn.Close()
}

// Get asks for a page on a connection of its own: no proxy, no redirects. Any
// status below 400 is an answer; the body must match want. A user and a password
// in the URL are for the server; no error shows the password.
func Get(ctx context.Context, page string, want *regexp.Regexp) error {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, page, nil)
	if err != nil {
		return errors.New("the URL of a page cannot be read") // the cause quotes it
	}
	if u := req.URL.User; u != nil {
		password, _ := u.Password()
		req.SetBasicAuth(u.Username(), password)
	}
	page = req.URL.Redacted()
	req.Close = true
	t := &http.Transport{DisableKeepAlives: true}
	defer t.CloseIdleConnections()
	resp, err := t.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("get %s: %w", page, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 400 {
		return fmt.Errorf("get %s: %s", page, resp.Status)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return fmt.Errorf("get %s: %w", page, err)
	}
	if !want.Match(body) {
		return fmt.Errorf("get %s: the answer does not match %q", page, want)
	}
	return nil
}

// HostPort is the host of a URL with another port; the local host if it has none.
func HostPort(page, port string) string {
	if u, err := url.Parse(page); err == nil && u.Hostname() != "" {
		return net.JoinHostPort(u.Hostname(), port)
	}
	return net.JoinHostPort("127.0.0.1", port)
}

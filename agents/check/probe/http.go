package probe

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
)

// http asks for one page on a connection of its own.
func (q *question) http(ctx context.Context) (answer, error) {
	req, err := q.request(ctx)
	if err != nil {
		return answer{}, err
	}
	transport := &http.Transport{
		DialContext:            func(ctx context.Context, network, _ string) (net.Conn, error) { return q.dial(ctx, "tcp") },
		TLSClientConfig:        q.tls.Clone(),
		DisableKeepAlives:      true,
		DisableCompression:     true, // a digest is of what is sent
		MaxResponseHeaderBytes: maxAnswer,
	}
	client := http.Client{Transport: transport, CheckRedirect: func(_ *http.Request, via []*http.Request) error {
		if len(via) > q.Follow {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, int64(q.BodyLimit)))
	if err != nil {
		return answer{}, err
	}
	if err := q.judge(resp.StatusCode, body); err != nil {
		return answer{}, err
	}
	return says("HTTP status %d", resp.StatusCode)
}

func (q *question) request(ctx context.Context) (*http.Request, error) {
	scheme := "http://"
	if q.tls != nil {
		scheme = "https://"
	}
	host := q.Host
	if host == "" {
		host = strings.TrimSuffix(q.server.String(), ":"+strconv.Itoa(int(q.Kind.WellKnownPort())))
	}
	req, err := http.NewRequestWithContext(ctx, q.Method, scheme+host+q.Path, nil)
	if err != nil {
		return nil, fmt.Errorf("options host and path: %w", err)
	}
	req.Header.Set("User-Agent", "systole-check")
	for _, h := range q.Headers {
		req.Header.Add(h.Name, h.Value)
	}
	if q.User != "" {
		secret, err := q.password()
		if err != nil {
			return nil, err
		}
		req.SetBasicAuth(q.User, secret)
	}
	return req, nil
}

// judge compares an answer with what the check asks for.
func (q *question) judge(status int, body []byte) error {
	switch {
	case !q.Status.Has(status):
		return fmt.Errorf("HTTP status %d: wanted %s", status, q.Status)
	case q.Regex != nil && !q.Regex.Match(body):
		return fmt.Errorf("HTTP status %d, but the body does not match regex", status)
	case q.NoRegex != nil && q.NoRegex.Match(body):
		return fmt.Errorf("HTTP status %d, but the body matches regex-not", status)
	case q.Digest.Algorithm != "" && q.Digest.Of(body) != q.Digest.Sum:
		return fmt.Errorf("HTTP status %d, but the body's digest is %s:%s", status, q.Digest.Algorithm, q.Digest.Of(body))
	}
	return nil
}

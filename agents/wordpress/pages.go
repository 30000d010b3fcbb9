package wordpress

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"systole/agents/internal/fastcgi"
)

// page is one answer.
type page struct {
	status   int
	location string
	body     []byte
}

const (
	maxPage      = 4 << 20
	maxRedirects = 3
	pageWithin   = 10 * time.Second
)

// renders asks for the login page and the chosen post, as far as it is known whom to ask.
func (s site) renders(ctx context.Context) error {
	if s.fpm == "" && s.address == "" {
		return nil
	}
	login, err := s.fetch(ctx, "/wp-login.php")
	if err != nil {
		return err
	}
	if login.status != http.StatusOK || !bytes.Contains(login.body, []byte(`id="loginform"`)) {
		return fmt.Errorf("the login page does not render: status %d%s", login.status, said(login))
	}
	if s.post == "" {
		return nil
	}
	post, err := s.fetch(ctx, "/?p="+s.post)
	if err != nil {
		return err
	}
	if post.status != http.StatusOK {
		return fmt.Errorf("post %s does not render: status %d%s", s.post, post.status, said(post))
	}
	if !s.postRegex.Match(post.body) {
		return fmt.Errorf("post %s renders and does not match %q", s.post, s.postRegex)
	}
	return nil
}

// said is WordPress's own word for its most frequent trouble.
func said(p page) string {
	for _, words := range []string{"Error establishing a database connection", "There has been a critical error", "This node does not serve the site"} {
		if bytes.Contains(p.body, []byte(words)) {
			return ": " + words
		}
	}
	return ""
}

// fetch asks for a page of the site and follows redirects within it.
func (s site) fetch(ctx context.Context, path string) (page, error) {
	ctx, cancel := context.WithTimeout(ctx, pageWithin)
	defer cancel()
	target, err := s.url.Parse(strings.TrimSuffix(s.url.Path, "/") + path)
	if err != nil {
		return page{}, err
	}
	for range maxRedirects {
		p, err := s.ask(ctx, target)
		if err != nil || p.status < 300 || p.status > 399 || p.location == "" {
			return p, err
		}
		next, err := target.Parse(p.location)
		if err != nil || next.Host != s.url.Host {
			return p, fmt.Errorf("%s leads away from the site, to %q", target, p.location)
		}
		target = next
	}
	return page{}, fmt.Errorf("%s leads from page to page", target)
}

func (s site) ask(ctx context.Context, target *url.URL) (page, error) {
	if s.fpm != "" {
		return s.askFPM(ctx, target)
	}
	return s.askWeb(ctx, target)
}

// askFPM runs what a web server would: the script named, else WordPress's front.
func (s site) askFPM(ctx context.Context, target *url.URL) (page, error) {
	script := strings.TrimPrefix(target.Path, strings.TrimSuffix(s.url.Path, "/"))
	if !strings.HasSuffix(script, ".php") {
		script = "/index.php"
	}
	r, err := fastcgi.Ask(ctx, s.fpm, fastcgi.Request{Script: filepath.Join(s.docroot, filepath.Clean(script)), URL: target.String(), Root: s.docroot,
		Params: map[string]string{"SCRIPT_NAME": script}})
	if err != nil {
		return page{}, err
	}
	return page{r.Status, r.Header.Get("Location"), r.Body}, nil
}

// askWeb asks a web server by its own address and the site's name.
func (s site) askWeb(ctx context.Context, target *url.URL) (page, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return page{}, err
	}
	var d net.Dialer
	t := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return d.DialContext(ctx, network, s.address)
	}}
	defer t.CloseIdleConnections()
	resp, err := t.RoundTrip(req)
	if err != nil {
		return page{}, fmt.Errorf("get %s from %s: %w", target, s.address, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxPage))
	if err != nil {
		return page{}, fmt.Errorf("get %s from %s: %w", target, s.address, err)
	}
	return page{resp.StatusCode, resp.Header.Get("Location"), body}, nil
}

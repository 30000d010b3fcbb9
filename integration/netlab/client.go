package netlab

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// The client opens a new connection every askEvery and gives each answerWithin
// to answer, so one that hangs hides nothing.
const (
	askEvery     = 5 * time.Millisecond
	answerWithin = 250 * time.Millisecond
	maxAnswer    = 4096
)

// Answer is one page got: when it had arrived and what it said.
type Answer struct {
	Sent, At time.Time
	Body     string
}

// Client asks a page again and again and remembers every good answer.
type Client struct {
	url  string
	http *http.Client

	mu      sync.Mutex
	answers []Answer // in order of arrival
	asked   int
}

// NewClient asks http://address:port/.
func NewClient(at netip.AddrPort) *Client {
	dialer := &net.Dialer{Timeout: answerWithin}
	return &Client{
		url: "http://" + at.String() + "/",
		http: &http.Client{
			Timeout:   answerWithin,
			Transport: &http.Transport{DisableKeepAlives: true, DialContext: dialer.DialContext, Proxy: nil},
		},
	}
}

// Run asks until ctx ends and its last questions are answered or given up.
func (c *Client) Run(ctx context.Context) {
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	var asking sync.WaitGroup
	defer asking.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			asking.Go(func() { c.ask(ctx) })
		}
	}
}

func (c *Client) ask(ctx context.Context) {
	sent := time.Now()
	c.mu.Lock()
	c.asked++
	c.mu.Unlock()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url, nil)
	if err != nil {
		return
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil || resp.StatusCode != http.StatusOK {
		return
	}
	c.mu.Lock()
	c.answers = append(c.answers, Answer{sent, time.Now(), strings.TrimSpace(string(body))})
	c.mu.Unlock()
}

// Last is the newest good answer, if there was one.
func (c *Client) Last() (Answer, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.answers) == 0 {
		return Answer{}, false
	}
	return c.answers[len(c.answers)-1], true
}

// Counts are questions asked and good answers got.
func (c *Client) Counts() (asked, good int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked, len(c.answers)
}

// Outage is the longest time between two good answers of which the later came
// after since: the last good answer to the first good one. It counts silence
// up to now too.
func (c *Client) Outage(since time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	first := slices.IndexFunc(c.answers, func(a Answer) bool { return a.At.After(since) })
	if first < 0 {
		return time.Since(since)
	}
	longest := time.Since(c.answers[len(c.answers)-1].At)
	for i := max(first, 1); i < len(c.answers); i++ {
		longest = max(longest, c.answers[i].At.Sub(c.answers[i-1].At))
	}
	return longest
}

// Await waits until an answer sent after since says what want accepts, at most for timeout.
func (c *Client) Await(ctx context.Context, since time.Time, timeout time.Duration, want func(body string) bool) bool {
	for end := time.Now().Add(timeout); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(askEvery) {
		if a, ok := c.Last(); ok && a.Sent.After(since) && want(a.Body) {
			return true
		}
	}
	return false
}

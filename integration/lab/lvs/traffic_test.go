package lvs

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// request is one question to the site, over a connection of its own.
type request struct {
	began, ended time.Time
	from         string // the server's page, its name
	err          error
}

// ask gets a page over a new connection.
func ask(ctx context.Context, url string, patience time.Duration) request {
	r := request{began: time.Now()}
	client := &http.Client{Timeout: patience, Transport: &http.Transport{
		DisableKeepAlives: true, DialContext: (&net.Dialer{Timeout: patience}).DialContext,
	}}
	r.from, r.err = get(ctx, client, url)
	r.ended = time.Now()
	return r
}

func get(ctx context.Context, client *http.Client, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %s", resp.Status)
	}
	return strings.TrimSpace(string(body)), err
}

// traffic is new connections at a steady rate.
type traffic struct {
	stop context.CancelFunc
	done chan struct{}

	mu  sync.Mutex
	all []request // in the order they ended
}

// generate asks url every so often until stopped, and gives each request its patience.
func generate(url string, every, patience time.Duration) *traffic {
	ctx, stop := context.WithCancel(context.Background())
	t := &traffic{stop: stop, done: make(chan struct{})}
	go func() {
		defer close(t.done)
		var asking sync.WaitGroup
		defer asking.Wait()
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				asking.Go(func() {
					r := ask(context.Background(), url, patience) // what is under way comes to its end
					t.mu.Lock()
					t.all = append(t.all, r)
					t.mu.Unlock()
				})
			}
		}
	}()
	return t
}

// end stops and returns everything, in the order it began.
func (t *traffic) end() []request {
	t.stop()
	<-t.done
	slices.SortFunc(t.all, func(a, b request) int { return a.began.Compare(b.began) })
	return t.all
}

func (t *traffic) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.all)
}

// goodSince counts good answers to what was asked after a moment.
func (t *traffic) goodSince(moment time.Time) (good int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range t.all {
		if r.err == nil && r.began.After(moment) {
			good++
		}
	}
	return good
}

// outage is the longest time without a good answer that ends after a moment.
func outage(all []request, moment time.Time) time.Duration {
	var good []time.Time
	for _, r := range all {
		if r.err == nil {
			good = append(good, r.ended)
		}
	}
	slices.SortFunc(good, time.Time.Compare)
	var longest time.Duration
	for i := 1; i < len(good); i++ {
		if good[i].After(moment) {
			longest = max(longest, good[i].Sub(good[i-1]))
		}
	}
	return longest
}

// failed are the requests that were not answered well.
func failed(all []request) (bad []request) {
	for _, r := range all {
		if r.err != nil {
			bad = append(bad, r)
		}
	}
	return bad
}

// shares counts answers by server.
func shares(all []request) map[string]int {
	m := map[string]int{}
	for _, r := range all {
		if r.err == nil {
			m[r.from]++
		}
	}
	return m
}

// oneByOne asks so many times, one after the other, but gives up when nobody answers.
func oneByOne(ctx context.Context, url string, times int) (all []request) {
	for range times {
		r := ask(ctx, url, 10*time.Second)
		all = append(all, r)
		if r.err != nil && r.ended.Sub(r.began) > 9*time.Second {
			break
		}
	}
	return all
}

// download is a transfer over one connection that takes seconds.
type download struct {
	done chan struct{}
	err  error
}

func startDownload(url string, want []byte) *download {
	d := &download{done: make(chan struct{})}
	go func() {
		defer close(d.done)
		client := &http.Client{Timeout: 2 * time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}
		resp, err := client.Get(url)
		if err != nil {
			d.err = err
			return
		}
		defer resp.Body.Close()
		got, err := io.ReadAll(resp.Body)
		switch {
		case err != nil:
			d.err = fmt.Errorf("after %d of %d bytes: %w", len(got), len(want), err)
		case !bytes.Equal(got, want):
			d.err = fmt.Errorf("%d bytes came, not the %d that were sent", len(got), len(want))
		}
	}()
	return d
}

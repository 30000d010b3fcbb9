package nginx

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"systole/agents/internal/ocferr"
	"systole/agents/internal/web"
	"systole/agents/process"
	"systole/resources"
)

// testFile is where the test of check level 20 is written when there is more to
// it than a page and what it must contain. It is read when it is needed: a
// mistake in it keeps nginx from being found good, never from being stopped.
type testFile struct {
	path, name string // without a name, the first test
	base, port string // of the server, for a path in place of a URL
	client     string // whose options a test has that names no client
}

// pageTest is one test, ready to be made.
type pageTest struct {
	page   string
	match  *regexp.Regexp
	client []string // program and options; none: this agent asks by itself
}

// ask makes the test.
func (f testFile) ask(ctx context.Context) error {
	t, err := f.read()
	if err != nil {
		return err
	}
	if len(t.client) == 0 {
		return web.Get(ctx, t.page, t.match)
	}
	exit, err := process.Run(ctx, process.Command{Path: t.client[0], Args: append(slices.Clone(t.client[1:]), t.page), Env: environment})
	switch {
	case err != nil:
		return err
	case exit.Code != 0:
		return fmt.Errorf("get %s with %s: exit %d: %s", t.page, t.client[0], exit.Code, firstLine(exit.Stderr))
	case !t.match.Match(exit.Stdout):
		return fmt.Errorf("get %s with %s: the answer does not match %q", t.page, t.client[0], t.match)
	}
	return nil
}

// read finds the test in the file.
func (f testFile) read() (pageTest, error) {
	text, err := os.ReadFile(f.path)
	if err != nil {
		return pageTest{}, ocferr.Errorf(resources.ErrInstalled, "parameter test20conffile of nginx: %w: every node needs the file", err)
	}
	tests, err := parseTests(string(text))
	if err != nil {
		return pageTest{}, ocferr.Errorf(resources.ErrConfigured, "%s: %w", f.path, err)
	}
	i := slices.IndexFunc(tests, func(t keywords) bool { return f.name == "" || t["test"] == f.name })
	if i < 0 {
		return pageTest{}, ocferr.Errorf(resources.ErrConfigured, "%s has no test %q: correct test20name, or write the test", f.path, f.name)
	}
	t, err := f.prepare(tests[i])
	if err != nil && !ocferr.Is(err, resources.ErrInstalled) {
		err = ocferr.Errorf(resources.ErrConfigured, "%s: test %s: %w", f.path, tests[i]["test"], err)
	}
	return t, err
}

// prepare makes a test of what is written. The agent asks by itself, unless
// the client is one it cannot stand for, or has options.
func (f testFile) prepare(k keywords) (t pageTest, err error) {
	if k["url"] == "" {
		return t, errors.New("it has no url")
	}
	if t.match, err = regexp.Compile("(?i)" + k["match"]); err != nil {
		return t, fmt.Errorf("match: %w", err)
	}
	page, err := onServer(k["url"], f.base, f.port)
	if err != nil {
		return t, errors.New("its url cannot be read")
	}
	u, err := url.Parse(page)
	if err != nil {
		return t, errors.New("its url cannot be read")
	}
	if k["user"] != "" {
		u.User = url.UserPassword(k["user"], k["password"])
	}
	t.page = u.String()
	client := cmp.Or(k["client"], f.client, "curl")
	toDump, known := dumping[filepath.Base(client)]
	if known && k["client_opts"] == "" {
		return t, nil
	}
	if u.User != nil { // everybody sees the arguments of a process
		return t, errors.New("a user is not shown to a client: leave client and client_opts out, or let the client read the password from a file of its own")
	}
	opts, err := process.Words(k["client_opts"])
	if err != nil {
		return t, fmt.Errorf("client_opts: %w", err)
	}
	if client, err = exec.LookPath(client); err != nil {
		return t, ocferr.Errorf(resources.ErrInstalled, "client of test %s of nginx: %w", k["test"], err)
	}
	t.client = slices.Concat([]string{client}, toDump, opts)
	return t, nil
}

// dumping are the options with which a client writes the page to its output, and
// ends with an error where there is none. Any other client does so by itself.
var dumping = map[string][]string{
	"curl": {"--silent", "--show-error", "--fail"},
	"wget": {"--quiet", "--output-document=-"},
}

// keywords are a test as written: "test" is its name.
type keywords map[string]string

var allKeywords = []string{"test", "url", "match", "user", "password", "client", "client_opts"}

// parseTests reads a file of tests, as described in README.webapps of the
// resource-agents: a keyword and its value on each line, from "test NAME" to
// "end". No error shows a value: it may be a password.
func parseTests(text string) (tests []keywords, err error) {
	var open keywords
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		word := strings.Fields(line)[0]
		_, again := open[word]
		switch {
		case word == "test" && open == nil:
			open = keywords{}
		case open == nil:
			return nil, fmt.Errorf("line %d: a test begins with \"test NAME\"", number)
		case word == "end":
			tests, open = append(tests, open), nil
			continue
		case again:
			return nil, fmt.Errorf("line %d: there was a %q already: does an \"end\" lack?", number, word)
		case !slices.Contains(allKeywords, word):
			return nil, fmt.Errorf("line %d: it does not begin with \"end\" or one of %q", number, allKeywords)
		}
		open[word] = strings.TrimSpace(line[len(word):])
	}
	switch {
	case open != nil:
		return nil, fmt.Errorf("test %s has no \"end\"", open["test"])
	case tests == nil:
		return nil, errors.New("it has no test")
	}
	return tests, nil
}

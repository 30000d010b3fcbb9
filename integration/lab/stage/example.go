package stage

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"systole/integration/lab"
)

// Each does the same on several nodes at once and returns the first error.
func (c *Cluster) Each(nodes []*lab.Node, do func(*lab.Node) error) error {
	errs := make(chan error, len(nodes))
	for _, n := range nodes {
		go func() {
			began := time.Now()
			err := do(n)
			if err != nil {
				err = fmt.Errorf("%s after %v: %w", n.Name, time.Since(began).Round(time.Millisecond), err)
			}
			errs <- err
		}()
	}
	var first error
	for range nodes {
		if err := <-errs; err != nil && first == nil {
			first = err
		}
	}
	return first
}

// Hand gives nodes the files below a directory of conf/examples; they see them below [Handed].
func (c *Cluster) Hand(dir string, nodes ...*lab.Node) error {
	return fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		for _, n := range nodes {
			if _, err := n.Write(filepath.Join(handed, name), string(text), 0o644); err != nil {
				return err
			}
		}
		return nil
	})
}

const handed = "example"

// Handed is the directory in which a node sees what [Cluster.Hand] gave it.
func Handed(n *lab.Node) string { return "/lab/" + n.Name + "/" + handed }

// Step runs a block of shell in the directory of the example, as an administrator
// would; its first failing line ends it.
func Step(ctx context.Context, n *lab.Node, script string) error {
	_, err := n.Shell(ctx, "set -e; cd "+Handed(n)+"\n"+script)
	return err
}

// Steps are the blocks of shell below a heading of a README, each a run of lines
// indented by four blanks.
func Steps(readme, heading string) ([]string, error) {
	_, section, found := strings.Cut("\n"+readme, "\n## "+heading+"\n")
	if !found {
		return nil, fmt.Errorf("the README has no heading %q", heading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var blocks []string
	inside := false
	for line := range strings.Lines(section) {
		code, ok := strings.CutPrefix(line, "    ")
		if ok && !inside {
			blocks = append(blocks, "")
		}
		if inside = ok; ok {
			blocks[len(blocks)-1] += code
		}
	}
	return blocks, nil
}

// Deed is one thing to do, by a name for whoever waits.
type Deed struct {
	Name string
	Do   func(context.Context) error
}

// Do does one after the other and says how long it took so far; it ends with the first
// error, which has the deed's name.
func Do(ctx context.Context, say func(string, ...any), deeds []Deed) error {
	began := time.Now()
	for _, d := range deeds {
		if err := d.Do(ctx); err != nil {
			return fmt.Errorf("%s: %w", d.Name, err)
		}
		say("%6.1f s  %s", time.Since(began).Seconds(), d.Name)
	}
	return nil
}

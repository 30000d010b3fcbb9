package simulate

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"systole/crm/cib"
	"systole/crm/exit"
	"systole/crm/scheduler"
	"systole/crm/shell/source"
	"systole/crm/shell/tool"
)

// measure plans for every XML file of a directory and prints how long reading and
// planning took.
func (r *request) measure(ctx context.Context, stdio *tool.IO) error {
	entries, err := os.ReadDir(r.profile)
	if err != nil {
		return exit.Errorf(exit.NoInput, "profile: %w", err)
	}
	stdio.Println("Timings:")
	for _, e := range slices.DeleteFunc(entries, func(e os.DirEntry) bool { return !isInput(e.Name()) }) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		path := filepath.Join(r.profile, e.Name())
		stdio.Printf("  * Testing %s ...", path)
		took, err := r.timed(path)
		if err != nil {
			stdio.Printf(" failed\n")
			return err
		}
		stdio.Printf(" %.2f secs\n", took.Seconds())
	}
	return nil
}

func isInput(name string) bool {
	return strings.HasSuffix(name, ".xml") || strings.HasSuffix(name, ".xml.bz2") || strings.HasSuffix(name, ".xml.gz")
}

// timed plans for one file as often as asked for.
func (r *request) timed(path string) (time.Duration, error) {
	start := time.Now()
	doc, err := source.ReadFile(path)
	if err != nil {
		return 0, exit.With(exit.NoInput, err)
	}
	root, err := cib.ParseInPlace(doc)
	if err != nil {
		return 0, exit.Errorf(exit.NoInput, "%s: %w", path, err)
	}
	now, _, err := r.moment(root, start)
	if err != nil {
		return 0, err
	}
	for range r.repeat {
		scheduler.Schedule(root, now, scheduler.Options{})
	}
	return time.Since(start), nil
}

package story

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

const (
	// shotsEnv is a directory for pictures of the site, for whoever writes its documentation.
	shotsEnv = "SYSTOLE_LAB_SHOTS"
	browser  = "chromium"
	shotIn   = 2 * time.Minute
)

// Shot has a browser take a picture of the front page, where that is wished. It proves
// nothing, and its failure fails nothing.
func (s *Story) Shot(name string) {
	s.Helper()
	dir := os.Getenv(shotsEnv)
	if dir == "" {
		return
	}
	ctx, cancel := context.WithTimeout(s.Context(), shotIn)
	defer cancel()
	// The machines come first.
	c := exec.CommandContext(ctx, "nice", "-n", "15", browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
		"--user-data-dir="+s.TempDir(), "--window-size=800,560", "--screenshot="+filepath.Join(dir, name+".png"), "http://"+s.Address.String()+"/")
	if out, err := c.CombinedOutput(); err != nil {
		s.Logf("picture %s: %v: %.500s", name, err, out)
	}
}

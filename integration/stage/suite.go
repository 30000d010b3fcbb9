package stage

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"systole/integration/netlab"
)

// binEnv carries the directory of the built programs into the lab.
const binEnv = "SYSTOLE_STAGE_BIN"

// Main is TestMain of a suite that plays here: it builds the programs outside,
// where the module cache is, runs the tests inside the lab, and ends the process.
func Main(m interface{ Run() int }) { os.Exit(suite(m.Run)) }

// Bin is where a suite's programs are.
func Bin() string { return os.Getenv(binEnv) }

func suite(run func() int) int {
	if !netlab.Inside() {
		bin, err := os.MkdirTemp("", "stage")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(bin)
		build := exec.Command("go", "build", "-o", bin, "systole/cmd/systoled", "systole/cmd/crm")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		build.Stdout, build.Stderr = os.Stderr, os.Stderr
		err = build.Run()
		if err == nil {
			err = os.Symlink("crm", filepath.Join(bin, "crm_attribute")) // agents tell the cluster by it
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "build the programs:", err)
			return 1
		}
		os.Setenv(binEnv, bin)
	}
	code, inside := netlab.Enter(false)
	if inside {
		code = run()
	}
	return code
}

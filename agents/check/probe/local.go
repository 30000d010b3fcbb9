package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"systole/agents/check"
	"systole/agents/process"
)

// script runs an external program, with keepalived's meaning of its exit
// status: 0 is up, 1 is down, and with dynamic=yes 2 to 255 are up with the
// weight 0 to 253.
func (q *question) script(ctx context.Context) (answer, error) {
	exit, err := process.Run(ctx, q.command())
	switch {
	case err != nil:
		return answer{}, err
	case exit.Killed:
		return answer{}, context.DeadlineExceeded
	case exit.Signal != 0:
		return answer{}, fmt.Errorf("the script was ended by signal %d (%s)", int(exit.Signal), exit.Signal)
	}
	text := fmt.Sprintf("exit status %d", exit.Code)
	if said := exit.Text(); said != "" {
		text += ": " + clip(said[strings.LastIndexByte(said, '\n')+1:])
	}
	switch {
	case exit.Code == 0:
		return answer{text: text}, nil
	case q.Dynamic && exit.Code >= 2:
		return answer{text, check.Weight{Mode: check.Absolute, Value: exit.Code - 2}}, nil
	}
	return answer{}, errors.New(text)
}

func (q *question) command() process.Command {
	address, port := "", strconv.Itoa(int(q.server.Port()))
	if q.server.Addr().IsValid() {
		address = q.server.Addr().String()
	}
	args := make([]string, len(q.Args))
	for i, a := range q.Args {
		args[i] = strings.NewReplacer("{address}", address, "{port}", port).Replace(a)
	}
	return process.Command{Path: q.Path, Args: args, Env: []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8",
		"CHECK_ADDRESS=" + address, "CHECK_PORT=" + port,
		"CHECK_TIMEOUT=" + strconv.FormatFloat(q.Timeout.Seconds(), 'f', -1, 64),
	}}
}

// maxNumber is more than any number has.
const maxNumber = 64

// file reads a number, as keepalived's track_file does. A missing file is 0. On
// a hung file system it does not return; the runner copes with that.
func (q *question) file(context.Context) (answer, error) {
	n, err := readNumber(q.Path)
	switch {
	case err != nil:
		return answer{}, err
	case q.Weight != 0:
		return answer{fmt.Sprintf("%d in %s", n, q.Path), check.Weight{Mode: check.Relative, Value: n * q.Weight}}, nil
	case n != 0:
		return answer{}, fmt.Errorf("%d in %s: wanted 0", n, q.Path)
	}
	return says("0 in %s", q.Path)
}

func readNumber(path string) (int, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxNumber))
	if err != nil {
		return 0, err
	}
	return parseNumber(path, string(text))
}

// parseNumber reads the file's text; an empty file is 0.
func parseNumber(path, text string) (int, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%q in %s is not a number", clip(text), path)
	}
	return int(n), nil
}

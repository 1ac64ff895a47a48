package host

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"tsrun/sdk"
	"tsrun/sdk/tagfile"
)

// What writes Parquet is in the program of a plugin, so that nothing else needs what
// that needs.
const (
	parquet        = "parquet"
	parquetProgram = "sink-parquet"
)

// ConvertersHelp is the line of the formats that plugins write, as in a table of formats.
const ConvertersHelp = parquet + "  .parquet       columns ps, or channel and ps; only written, by the plugin " + parquetProgram

// Converter finds the program of a plugin that writes a file in its format, named or
// told by the file's name; nil where that is none of a plugin.
func Converter(ctx context.Context, out, format string) (*tagfile.Through, error) {
	if format != parquet && (format != "" || !strings.EqualFold(filepath.Ext(out), "."+parquet)) {
		return nil, nil
	}
	dirs, err := DefaultDirs(nil)
	if err != nil {
		return nil, err
	}
	program, err := Find(dirs, parquetProgram)
	if err != nil {
		return nil, err
	}
	return &tagfile.Through{Format: parquet, Write: func(tags *os.File, about tagfile.Provenance, oneChannel bool, to io.Writer) error {
		disk := &disk{to: to}
		if err := convertBy(ctx, program.Path, tags, about, oneChannel, disk); err != nil && disk.err == nil {
			return fmt.Errorf("write %s: %w", out, err)
		}
		return disk.err
	}}, nil
}

// convertBy lets a program write tags in its format.
func convertBy(ctx context.Context, program string, tags *os.File, about tagfile.Provenance, oneChannel bool, to io.Writer) error {
	text, err := json.Marshal(about)
	if err != nil {
		return err
	}
	args := []string{"convert", "--about", string(text)}
	if oneChannel {
		args = append(args, "--one")
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.WaitDelay = 5 * time.Second
	said := &tail{}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tags, to, said
	err = cmd.Run()
	var ended *exec.ExitError
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &ended):
		return fmt.Errorf("%s: %s", filepath.Base(program), said)
	case cmd.Process != nil:
		return err
	}
	return &sdk.Failure{Code: "plugin-start", Message: fmt.Sprintf("start %s: %v", program, err), Hint: "build it again (make build), or install the package again"}
}

// disk remembers that it took no more, which ends the program that writes.
type disk struct {
	to  io.Writer
	err error
}

func (d *disk) Write(b []byte) (int, error) {
	n, err := d.to.Write(b)
	if err != nil && d.err == nil {
		d.err = err
	}
	return n, err
}

// tail keeps the end of what a program says.
type tail struct{ text bytes.Buffer }

const mostSaid = 2000

func (t *tail) Write(b []byte) (int, error) {
	t.text.Write(b)
	if extra := t.text.Len() - mostSaid; extra > 0 {
		t.text.Next(extra)
	}
	return len(b), nil
}

func (t *tail) String() string {
	if said := strings.TrimSpace(strings.ToValidUTF8(t.text.String(), "")); said != "" {
		return said
	}
	return "it ended with an error, and said nothing"
}

package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"tsrun/sdk"
	"tsrun/sdk/pluginpb"
)

// deathNotice is how long after a broken connection the process is given to
// show that it is dead, so that its last words can be told.
const deathNotice = time.Second

// explainStart says why a process did not become a plugin.
func (p *process) explainStart(err error) error {
	message := func(format string, args ...any) string {
		return fmt.Sprintf("start plugin %s (%s): ", p.component.Name, p.component.Path) + fmt.Sprintf(format, args...)
	}
	switch {
	case errors.Is(err, fs.ErrPermission):
		return &sdk.Failure{Code: "plugin-not-executable", Message: message("permission denied"),
			Hint: "check the file's permissions and whether its file system forbids programs (noexec)"}
	case errors.Is(err, syscall.ENOEXEC):
		return &sdk.Failure{Code: "plugin-wrong-format", Message: message("not a program of this machine"),
			Hint: "build it for this operating system and processor; a script needs #! in its first line"}
	case p.run.id() == 0 && errors.Is(err, fs.ErrNotExist) && regular(p.component.Path):
		return &sdk.Failure{Code: "plugin-start", Message: message("%v, though the file is there", err),
			Hint: "what it needs to start is missing: of a script the program after #!, of a program its loader (ldd tells which)"}
	case p.run.id() == 0:
		return &sdk.Failure{Code: "plugin-start", Message: message("%v", err)}
	}
	p.run.kill() // go-plugin has done so already, except when it exited by itself
	<-p.run.exited
	line := p.run.first.line()
	fields := strings.Split(line, "|")
	switch {
	case line != "" && (len(fields) < 4 || !number(fields[0]) || !number(fields[1])):
		return &sdk.Failure{Code: "plugin-noise",
			Message: message("it wrote %.200q to standard output, where the handshake belongs", line),
			Hint:    "print nothing before sdk.Serve; log with Env.Log or to standard error"}
	case line != "" && !spoken(fields[1]):
		return &sdk.Failure{Code: "plugin-protocol",
			Message: message("it speaks plugin protocol %s, this tsrun speaks %d and %d", fields[1], sdk.OldestProtocol, sdk.ProtocolVersion),
			Hint:    "build plugin and tsrun from the same release"}
	case line != "" && !strings.HasPrefix(line, "1|"):
		return &sdk.Failure{Code: "plugin-protocol", Message: message("unknown handshake version in %.200q", line),
			Hint: "build the plugin with go-plugin 1"}
	case line != "":
		return &sdk.Failure{Code: "plugin-start", Message: message("%v", err)}
	case !p.run.wasKilled():
		return p.crash("plugin-crashed", message("it ended before the handshake, %s", p.run.state))
	case !strings.Contains(err.Error(), "timeout"): // go-plugin saw the end of its output
		return p.crash("plugin-start", message("it closed its standard output before the handshake, and was ended"))
	}
	return p.crash("plugin-start-timeout", message("no handshake within %v", p.host.startTimeout))
}

func regular(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

func number(text string) bool {
	_, err := strconv.ParseUint(text, 10, 16)
	return err == nil
}

// spoken tells whether the host speaks the version of the protocol that a
// handshake names.
func spoken(version string) bool {
	v, err := strconv.Atoi(version)
	return err == nil && v >= sdk.OldestProtocol && v <= sdk.ProtocolVersion
}

// crash is a failure with the plugin's last words.
func (p *process) crash(code, message string) *sdk.Failure {
	cause, lines := p.run.words.last()
	f := &sdk.Failure{Code: code, Message: message}
	if cause != "" {
		f.Message += ": " + cause
		f.Hint = "this is a bug of the plugin; report it with these lines"
	} else {
		f.Hint = "a run's log has everything that the plugin wrote; of a bench that is only watched none is kept"
	}
	if len(lines) > 0 {
		f.Message += "; last words:\n\t" + strings.Join(lines, "\n\t") + "\n"
	}
	return f
}

// death is the failure of a plugin whose process has ended, or nil when it
// lives on.
func (p *process) death() error {
	select {
	case <-p.run.exited:
	case <-time.After(deathNotice):
		return nil
	}
	who := fmt.Sprintf("plugin %s of %s (pid %d)", p.component.Name, p.instance, p.run.id())
	if p.hung.Load() {
		return p.crash("plugin-hung", fmt.Sprintf("%s did not answer for %v and was killed", who, p.host.hungAfter))
	}
	f := p.crash("plugin-died", fmt.Sprintf("%s died, %s", who, p.run.state))
	if p.offered.Load() && p.run.faulted() {
		f.Hint = "a sink that says InPlace() reads tags in memory of tsrun, and is ended so when it writes to them: it has to copy them first, or not say it; else it is another bug of the plugin: report it with these lines"
	}
	return f
}

// explain says why a call of a plugin failed.
func (p *process) explain(doing string, err error) error {
	if err == nil {
		return nil
	}
	s, ok := status.FromError(err)
	if !ok {
		return fmt.Errorf("%s: %s: %w", p.instance, doing, err)
	}
	for _, detail := range s.Details() {
		if f, ok := detail.(*pluginpb.Failure); ok {
			return p.failure(f)
		}
	}
	switch s.Code() {
	case codes.Unavailable, codes.Canceled, codes.Unknown, codes.Internal:
		if death := p.death(); death != nil && !p.leaving.Load() {
			return death
		}
	case codes.DeadlineExceeded:
		return &sdk.Failure{Code: "plugin-timeout",
			Message: fmt.Sprintf("%s: %s: the plugin has not answered in time", p.instance, doing),
			Hint:    "see the log for what it was doing; a device that does not answer is the usual reason"}
	case codes.Unimplemented:
		return &sdk.Failure{Code: "plugin-protocol",
			Message: fmt.Sprintf("%s: %s: the plugin does not know this call", p.instance, doing),
			Hint:    "build plugin and tsrun from the same release"}
	}
	if s.Code() == codes.Canceled {
		return fmt.Errorf("%s: %s: %w", p.instance, doing, context.Canceled)
	}
	return fmt.Errorf("%s: %s: %s", p.instance, doing, s.Message())
}

// failure reads a failure that a plugin reported.
func (p *process) failure(f *pluginpb.Failure) error {
	if f == nil {
		return nil
	}
	return &sdk.Failure{Code: short(f.Code), Message: p.instance + ": " + f.Message, Hint: f.Hint, Field: short(f.Field)}
}

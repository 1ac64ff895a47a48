package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/spf13/cobra"

	"tsrun/pipeline/host"
	"tsrun/pipeline/master"
	"tsrun/pipeline/report"
	"tsrun/pipeline/run"
	"tsrun/pipeline/web"
	"tsrun/sdk"
)

// version is set when a release is linked.
var version = "0.1.0-dev"

// runFlags are the flags of tsrun itself: tsrun RECIPE, or --mode slave.
type runFlags struct {
	mode    string
	node    string
	master  string
	once    bool
	local   bool
	at      string
	data    string
	runs    string
	sets    []string
	plugins pluginDirs
	keys    string
	tls     string
	json    bool
	web     string
	record  func() // has what is watched recorded; nil: nothing is watched
}

func (f *runFlags) register(c *cobra.Command) {
	flags := c.Flags()
	flags.StringVar(&f.mode, "mode", "master", "`MODE`: master runs RECIPE; slave serves a master on another PC")
	flags.StringVar(&f.node, "node", "", "slave: the `NAME` of this PC in the recipe")
	flags.StringVar(&f.master, "master", "", "slave: the master's address, `HOST[:PORT]` of its status")
	flags.BoolVar(&f.once, "once", false, "slave: end after one run")
	flags.BoolVar(&f.local, "local", false, "slave: record this node's part of RECIPE without a master; tsrun collect fetches it later")
	flags.StringVar(&f.at, "at", "", "with --local: begin at `TIME`, as 2026-03-01T12:00:00Z, or so much later, as +10s; else at once")
	flags.StringVar(&f.data, "data", "runs", "slave: `DIR` where recorded files wait until the master has them")
	flags.StringVar(&f.runs, "runs", "runs", "master: `DIR` where run directories are made")
	flags.StringArrayVar(&f.sets, "set", nil, "master: change the recipe, `PATH=VALUE`; recorded with the run")
	f.plugins.add(c)
	registerKeys(flags, &f.keys)
	flags.StringVar(&f.tls, "tls", "auto", "slave: `MODE`: on; off, where the recipe says insecure: true; auto: on unless the master is on this PC")
	flags.BoolVar(&f.json, "json", false, "master: one event a line on standard output")
	registerWeb(flags, &f.web)
}

// completeRecipes offers the files that may be recipes.
func completeRecipes(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt
}

// completeFirst offers recipes and directories by their names, as the first word of a line
// may be a command, too: a shell that is told to filter files offers no commands.
func completeFirst(_ *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	dir, word := filepath.Split(begun)
	entries, err := os.ReadDir(cmp.Or(dir, "."))
	if err != nil {
		return nil, cobra.ShellCompDirectiveDefault
	}
	var names []string
	directive := cobra.ShellCompDirectiveNoFileComp
	for _, e := range entries {
		name := dir + e.Name()
		ending := filepath.Ext(name)
		info, err := os.Stat(name)
		switch hidden := strings.HasPrefix(e.Name(), ".") && !strings.HasPrefix(word, "."); {
		case err != nil, hidden, !strings.HasPrefix(e.Name(), word), strings.ContainsAny(name, "\n\t"):
		case info.IsDir():
			names, directive = append(names, name+"/"), directive|cobra.ShellCompDirectiveNoSpace
		case ending == ".yaml", ending == ".yml":
			names = append(names, name)
		}
	}
	return names, directive
}

// start is what the root command does.
func (f *runFlags) start(c *cobra.Command, args []string) error {
	unable := run.CheckSystem()
	switch {
	case f.local:
		return f.startLocal(c, args, unable)
	case f.at != "":
		return usage("--at is when a local recording begins: add --mode slave --node NAME --local")
	case f.mode == "slave" && len(args) > 0:
		return usage("a slave takes no recipe: its master sends it")
	case f.mode == "slave" && (c.Flags().Changed("runs") || len(f.sets) > 0):
		return usage("--runs and --set are a master's, which keeps the runs and sends the recipe; a slave has --data")
	case f.mode == "slave" && f.web != "":
		return usage("--web is a master's, which knows how all nodes stand")
	case f.mode == "slave" && unable != nil:
		return failure(unable)
	case f.mode == "slave":
		return runSlave(c.Context(), f)
	case f.mode != "master":
		return usage(fmt.Sprintf("--mode %q: write master or slave", f.mode))
	case f.node != "" || f.master != "" || f.once || c.Flags().Changed("data") || c.Flags().Changed("tls"):
		return usage("--node, --master, --once, --data and --tls are a slave's: add --mode slave")
	case len(args) == 0 && c.Flags().NFlag() > 0:
		return usage("no recipe is given; write tsrun RECIPE")
	case len(args) == 0:
		return c.Help()
	case args[0] == "-":
		return usage("a run keeps the file of its recipe, so - is none; tsrun check - reads standard input")
	case unable != nil:
		return failure(unable)
	}
	return runMaster(c.Context(), f, args[0])
}

// runMaster executes one recipe.
func runMaster(ctx context.Context, f *runFlags, path string) error {
	dirs, err := f.plugins.all()
	if err != nil {
		return err
	}
	resolved, err := loadRecipe(path, f.sets, dirs)
	if err != nil {
		return err
	}
	if resolved.Scan != nil {
		return beginSeries(ctx, f, path, resolved, dirs)
	}
	_, err = runRecipe(ctx, f, path, master.Options{Recipe: resolved, Runs: f.runs, PluginDirs: dirs})
	return err
}

// runRecipe has a recipe executed, and shows it. Where something was recorded it says
// how that ended, with an error too.
func runRecipe(ctx context.Context, f *runFlags, path string, o master.Options) (*master.Outcome, error) {
	outliveTerminal()
	lock, err := host.ReadLock(filepath.Dir(path))
	if err != nil {
		return nil, failure(err)
	}
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find tsrun's own program: %w", err)
	}
	o.Lock, o.Program, o.Version, o.Secure, o.Report = lock, program, version, secureMaster(f.keys), report.WritePage
	asked := interruptions()
	defer asked.close()
	hub, done := showing(f.json)
	o.Observer, o.Interrupts = hub, asked.interrupts
	over, err := startPage(ctx, f.web, hub, web.Options{Recipe: o.Recipe.Recipe, Stop: asked.keep, Record: f.record})
	if err != nil {
		done()
		return nil, failure(err)
	}
	outcome, err := master.Run(ctx, o)
	done()
	over()
	var refusal *master.Refusal
	if errors.As(err, &refusal) {
		return nil, &exitError{failureCode(err), nil} // the events have said why
	}
	if err != nil {
		return nil, failure(err)
	}
	if outcome.Watched {
		outcome.Left = outcome.Left && !asked.ended.Load() // who has asked for an end wants nothing to begin
		return outcome, nil
	}
	if code := exitCode(outcome.Manifest); code != exitGood {
		return outcome, &exitError{code, nil} // the summary has said why
	}
	return outcome, nil
}

// exitCode is what a script learns of a run.
func exitCode(m *run.Manifest) int {
	switch {
	case m.Has(run.Interrupted), m.Has(run.Aborted):
		return exitInterrupted
	case m.Has(run.Unverified):
		return exitVerify
	case run.IsGood(m.Condition):
		return exitGood
	}
	return exitNotGood
}

// failure gives an error that ended a command the exit code its cause deserves,
// unless it has one.
func failure(err error) error {
	var code *exitError
	if err == nil || errors.As(err, &code) {
		return err
	}
	return &exitError{failureCode(err), err}
}

// pluginCodes are the failures of plugins whose codes do not begin with "plugin-".
var pluginCodes = []string{"unknown-plugin", "unknown-kind", "wrong-kind", "bad-description", "bad-plugin-name", "not-a-plugin"}

func failureCode(err error) int {
	var f *sdk.Failure
	switch {
	case !errors.As(err, &f):
		return exitOther
	case strings.HasPrefix(f.Code, "plugin-"), slices.Contains(pluginCodes, f.Code):
		return exitPlugin
	case f.Code == "bad-config":
		return exitRecipe
	case f.Code == "aborted":
		return exitInterrupted
	}
	return exitPreflight
}

func usage(message string) error { return &exitError{exitUsage, errors.New(message)} }

// outliveTerminal lets a run go on when nobody sees it any more: a closed
// terminal (SIGHUP) and a reader that is gone (SIGPIPE) end nothing, and what
// cannot be written is dropped. Notify, unlike Ignore, is not inherited by the
// processes that a run starts.
func outliveTerminal() {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE, syscall.SIGHUP)
}

// takeQuitForInterrupt makes Ctrl-\ what Ctrl-C is, in every command: unasked, it would end
// this process at once, with the stacks of its goroutines on the terminal. SIGABRT still does.
func takeQuitForInterrupt() {
	self, err := os.FindProcess(os.Getpid())
	if err != nil || signal.Ignored(syscall.SIGQUIT) {
		return
	}
	quits := make(chan os.Signal, 4)
	signal.Notify(quits, syscall.SIGQUIT)
	go func() {
		for range quits {
			_ = self.Signal(os.Interrupt)
		}
	}()
}

// asking passes on what the user and the system want ended.
type asking struct {
	interrupts chan struct{}
	done       chan struct{}
	signals    chan os.Signal
	first      sync.Once // ends the recording; what comes later would give the run up
	ended      atomic.Bool
}

// interruptions passes on signals.
func interruptions() *asking {
	a := &asking{make(chan struct{}, 4), make(chan struct{}), make(chan os.Signal, 4), sync.Once{}, atomic.Bool{}}
	signal.Notify(a.signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		again := false
		for {
			select {
			case <-a.signals:
				a.ended.Store(true)
				if !again {
					a.stop()
				} else {
					a.pass()
				}
				again = true
			case <-a.done:
				return
			}
		}
	}()
	return a
}

// pass is one more time that the user wants an end; two are enough.
func (a *asking) pass() {
	select {
	case a.interrupts <- struct{}{}:
	default:
	}
}

// stop ends the recording and keeps what there is, whoever asks for it and however
// often.
func (a *asking) stop() { a.first.Do(a.pass) }

// keep is stop for a page.
func (a *asking) keep() error { a.stop(); return nil }

func (a *asking) close() { signal.Stop(a.signals); close(a.done) }

// interruptible ends a context with the first Ctrl-C.
func interruptible(ctx context.Context) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
}

// orEnded is err, or that the user has ended what had only its answer to write.
func orEnded(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil {
		return err
	}
	return &exitError{exitInterrupted, errors.New("ended before it was done; nothing was written")}
}

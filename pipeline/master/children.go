package master

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"tsrun/pipeline/event"
	"tsrun/pipeline/host"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/pipeline/wire"
	"tsrun/sdk"
)

// child is a slave process that the master started for a local node.
type child struct {
	node string
	cmd  *exec.Cmd
	out  *lastLines
	done chan struct{} // closed when the process has ended
}

// preflight checks everything that can be known before anything is started.
func preflight(o Options) error {
	if err := CheckPlugins(o); err != nil {
		return err
	}
	if err := run.CheckPath(o.Runs); err != nil {
		return err
	}
	if err := run.CheckOpenFiles(openFiles(o.Recipe.Recipe)); err != nil {
		return err
	}
	if err := os.MkdirAll(o.Runs, 0o777); err != nil {
		return &sdk.Failure{Code: "run-directory", Message: fmt.Sprintf("make the directory of run directories, %s: %v", o.Runs, err),
			Hint: "choose another place with --runs, or make this one writable"}
	}
	room, err := CheckRoom(o, o.Runs)
	if warning := room.Warning(); err == nil && warning != "" {
		o.Observer.Observe(event.Warning{Message: warning, Hint: "free some space, or measure for a shorter time"})
	}
	return err
}

// openFiles is how many files and connections the master of a run has open when each node
// sends files over all its connections: each has its pipes and its connections to the
// three ports, and a file of each channel is on its way or looked at.
func openFiles(r *recipe.Recipe) int {
	const own, ofNode, ofChannel = 16, 6, 2
	most := own
	for _, n := range r.Nodes {
		most += ofNode + r.Transfer.Streams + ofChannel*len(n.Channels)
	}
	return most
}

// CheckPlugins looks for all plugins that the recipe needs on this PC.
func CheckPlugins(o Options) error {
	for _, n := range o.Recipe.Recipe.Nodes {
		if n.Host != "local" {
			continue
		}
		for _, c := range n.Controllers {
			if _, err := host.Find(o.PluginDirs, c.Driver); err != nil {
				return fmt.Errorf("controller %s.%s: %w", n.Name, c.Name, err)
			}
		}
	}
	for _, s := range o.Recipe.Recipe.Sinks {
		if _, err := host.Find(o.PluginDirs, s.Sink); err != nil {
			return fmt.Errorf("sink %s: %w", s.Name, err)
		}
	}
	return nil
}

// CheckRoom refuses a directory for runs that has too little space for the recipe.
func CheckRoom(o Options, dir string) (run.Room, error) {
	r := o.Recipe.Recipe
	keeps := func(sink string) bool { return host.KeepsFiles(o.PluginDirs, sink) }
	tags := r.LeastTags("", keeps)
	for _, n := range r.Nodes {
		if n.Host == "local" && r.Transfer.KeepSource == "always" { // and once more in the node's own files
			tags += min(r.LeastTags(n.Name, keeps), math.MaxInt64-tags)
		}
	}
	if err := run.CheckFiles(dir, r.Files("", keeps)); err != nil {
		return run.Room{}, err
	}
	return run.CheckSpace(dir, r.Faults.DiskBelow, tags)
}

// spawnSlaves starts one slave for each local node. They die with this process.
func (c *conductor) spawnSlaves(ctx context.Context) error {
	for _, n := range c.recipe.Nodes {
		if n.Host != "local" || c.past != nil && !(c.past.started() && c.heldHere(n.Name)) {
			continue
		}
		if err := c.spawnSlave(ctx, n.Name); err != nil {
			return fmt.Errorf("start slave %s: %w", n.Name, err)
		}
	}
	return nil
}

func (c *conductor) spawnSlave(ctx context.Context, name string) error {
	args := []string{"--mode", "slave", "--node", name, "--once",
		"--master", net.JoinHostPort(c.recipe.Network.Master, fmt.Sprint(portOf(c.status.Addr()))),
		"--data", c.sources(), "--tls", "off"}
	if c.recipe.Network.Secured() {
		args = append(args[:len(args)-1], "on", "--keys", c.options.Keys)
	}
	for _, d := range c.options.PluginDirs {
		if info, err := os.Stat(d); err == nil && info.IsDir() { // not each usual place is there
			args = append(args, "--plugin-dir", d)
		}
	}
	k := &child{node: name, cmd: exec.Command(c.options.Program, args...), out: &lastLines{}, done: make(chan struct{})}
	k.cmd.Stdout, k.cmd.Stderr = k.out, k.out
	k.cmd.Env = append(os.Environ(), wire.JoinKey+"="+c.key) // not an argument: those are for all to see
	if err := host.Spawn(k.cmd); err != nil {
		return err
	}
	c.children = append(c.children, k)
	go func() { // ends with the process, which dismiss sees to
		err := k.cmd.Wait()
		close(k.done)
		if ctx.Err() == nil && err != nil {
			c.queueEvent(slaveEnded{name, k.explainEnd(err)})
		}
	}()
	return nil
}

// slaveEnded is the end of a slave that this master has started.
type slaveEnded struct {
	node    string
	failure sdk.Failure
}

// maxAgain is how often a slave is started anew for what it holds, and mostAgain
// where it may also record on.
const (
	maxAgain  = 2
	mostAgain = 8
)

// replaceSlave starts a slave anew whose process has ended within the run, so that what
// it had closed is delivered; one that holds nothing is gone.
func (c *conductor) replaceSlave(ctx context.Context, e slaveEnded) {
	n := c.state.nodes[e.node]
	again := 0
	for _, k := range c.children {
		if k.node == e.node {
			again++
		}
	}
	holds := c.state.fire != 0 && !c.state.phase.over() && !n.gone && n.phase != wire.Done && c.heldHere(e.node)
	most := maxAgain
	if c.state.rules.restarts {
		most = mostAgain
	}
	if !holds || again > most {
		c.applyEvent(ctx, evGone(e))
		return
	}
	c.log.Error("slave is started anew", "about", e.node, "message", e.failure.Message)
	c.observe(event.Warning{Node: e.node, Message: e.failure.Message, Hint: "it is started anew, to deliver what it had recorded"})
	if err := c.spawnSlave(ctx, e.node); err != nil {
		c.applyEvent(ctx, evGone(e))
	}
}

// sources is where local slaves keep their files until the master has them.
func (c *conductor) sources() string { return filepath.Join(c.dir.Path(), "sources") }

// explainEnd explains why a slave ended, with the last lines that it wrote.
func (k *child) explainEnd(err error) sdk.Failure {
	f := sdk.Failure{Code: "slave-died", Message: "slave process: " + err.Error(), Hint: "log.jsonl in the run directory has what it said before; what it had sent is kept"}
	if words := k.out.String(); words != "" {
		f.Message += "; its last words: " + words
	}
	return f
}

// dismissSlaves answers the slaves until all know that the run is over, and then
// ends the local ones that still run.
func (c *conductor) dismissSlaves() {
	c.endUnjoined()
	timeout := time.NewTimer(dismissTimeout)
	defer timeout.Stop()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for !c.dismissed() {
		select {
		case r := <-c.requests:
			r.answer <- c.answer(context.Background(), r)
			continue
		case <-c.inputs:
			continue
		case <-poll.C:
			continue
		case <-timeout.C:
		}
		break
	}
	c.over() // a late question waits neither for a process nor for a hash
	c.endSlaves(endTimeout)
	// Each slave removes what the master has proven. What is left was not
	// proven, or was asked to stay.
	if err := os.Remove(c.sources()); err != nil && !errors.Is(err, os.ErrNotExist) {
		c.log.Warn("copies of local nodes are left", "dir", c.sources())
		c.observe(event.Warning{Message: "copies of local nodes are left in " + c.sources()})
	}
}

// endSlaves ends the slaves that still run, all at once, and by force those that have not
// ended within so long.
func (c *conductor) endSlaves(within time.Duration) {
	for _, k := range c.children {
		_ = k.cmd.Process.Signal(syscall.SIGTERM) // of one that has ended it does nothing
	}
	late, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	for _, k := range c.children {
		select {
		case <-k.done:
			continue
		case <-late.Done():
		}
		select {
		case <-k.done:
		default:
			host.KillGroup(k.cmd.Process.Pid) // its group: plugins have groups of their own and die with it
			<-k.done
		}
	}
}

// endUnjoined ends the slaves that have not joined: a run that is over lets nobody in.
func (c *conductor) endUnjoined() {
	for _, k := range c.children {
		if c.members[k.node] == nil {
			_ = k.cmd.Process.Signal(syscall.SIGTERM)
		}
	}
}

// dismissed reports whether every slave knows that the run is over and every local one has ended.
func (c *conductor) dismissed() bool {
	for name, m := range c.members {
		n := c.state.nodes[name]
		if m != nil && !n.gone && c.order != nil && n.order < c.order.Seq && !c.childEnded(name) {
			return false
		}
	}
	for _, k := range c.children {
		select {
		case <-k.done:
		default:
			return false
		}
	}
	return true
}

func (c *conductor) childEnded(name string) bool {
	for _, k := range slices.Backward(c.children) { // the newest counts
		if k.node == name {
			select {
			case <-k.done:
				return true
			default:
				return false
			}
		}
	}
	return false
}

// lastLines keeps the end of what a process wrote. Only the process's copying
// goroutine writes, and it has ended when the process has been waited for.
type lastLines struct{ buf []byte }

const lastLinesSize = 2048

func (l *lastLines) Write(p []byte) (int, error) {
	l.buf = append(l.buf, p...)
	if over := len(l.buf) - lastLinesSize; over > 0 {
		l.buf = append(l.buf[:0], l.buf[over:]...)
	}
	return len(p), nil
}

func (l *lastLines) String() string { return strings.TrimSpace(string(l.buf)) }

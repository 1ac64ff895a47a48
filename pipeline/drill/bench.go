package drill

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"tsrun/pipeline/host"
	"tsrun/pipeline/recipe"
)

// bench is the processes of one run and what is between them.
type bench struct {
	options *Options
	recipe  *recipe.Recipe
	dir     string // of this run: what the processes write
	tmp     string // their directory of temporary files, by which they are known
	args    []string
	address string // of the nodes' side of the links, with the status port
	links   map[string]*link
	marks   *marks

	mu     sync.Mutex
	master *process
	slaves map[string]*process // remote ones
}

// process is one tsrun that a drill has started.
type process struct {
	cmd  *exec.Cmd
	out  *os.File      // what it writes on standard error
	done chan struct{} // closed when it has ended
}

// newBench prepares one run: its directories and its links.
func newBench(o *Options, r *recipe.Recipe, dir string, number int) (_ *bench, err error) {
	b := &bench{options: o, recipe: r, dir: dir, links: map[string]*link{}, slaves: map[string]*process{}, marks: newMarks()}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("make the directory of a drill: %w", err)
	}
	if b.tmp, err = os.MkdirTemp("", "drill-"); err != nil { // short: sockets are in it
		return nil, fmt.Errorf("make a directory for temporary files: %w", err)
	}
	defer func() {
		if err != nil {
			b.close()
		}
	}()
	ports, err := freePorts(o.address)
	if err != nil {
		return nil, err
	}
	for i, name := range []string{"trigger", "status", "files", "clock"} {
		b.args = append(b.args, "--set", "network.ports."+name+"="+ports[i])
	}
	remote := linkedNodes(o, r)
	nodeSide := func(i int) string { return fmt.Sprintf("127.%d.%d.%d", 78+number/250%100, 1+number%250, 1+i) }
	for i, node := range remote {
		l, err := newLink(nodeSide(i), o.address, ports[:3], ports[3])
		if err != nil {
			return nil, fmt.Errorf("lay the link of %s: %w", node, err)
		}
		b.links[node] = l
		b.args = append(b.args, "--set", "nodes."+node+".host=remote")
	}
	if len(remote) > 0 {
		b.args = append(b.args, "--set", "network.master="+o.address, "--set", "network.tls=auto", "--set", "network.insecure=true") // on this PC alone
	}
	b.address = ports[1]
	return b, nil
}

// pluginFlags name the directories of plugins; not each usual place is there.
func (o *Options) pluginFlags() (flags []string) {
	for _, d := range o.PluginDirs {
		if info, err := os.Stat(d); err == nil && info.IsDir() {
			flags = append(flags, "--plugin-dir", d)
		}
	}
	return flags
}

// linkedNodes are those that a drill lets reach the master over a link: all but
// the one that decides the instant, where this PC has an address for it.
func linkedNodes(o *Options, r *recipe.Recipe) (nodes []string) {
	for _, n := range r.Nodes {
		if n.Name != r.Trigger.Master && o.address != "" {
			nodes = append(nodes, n.Name)
		}
	}
	return nodes
}

// ownAddress is an address of this PC that is not that of its loopback; "": none.
func ownAddress() string {
	addresses, _ := net.InterfaceAddrs() // none is an answer
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() && n.IP.To4() != nil {
			return n.IP.String()
		}
	}
	return ""
}

// freePorts finds three ports of TCP and one of UDP that nobody listens on just now.
func freePorts(address string) (ports []string, err error) {
	for range 3 {
		l, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer l.Close()
		_, port, _ := net.SplitHostPort(l.Addr().String()) // it is one of the system's
		ports = append(ports, port)
	}
	c, err := net.ListenPacket("udp", net.JoinHostPort(address, "0"))
	if err != nil {
		return nil, fmt.Errorf("find a free port: %w", err)
	}
	defer c.Close()
	_, port, _ := net.SplitHostPort(c.LocalAddr().String())
	return append(ports, port), nil
}

// startMaster starts a tsrun that runs the recipe, or finishes the run.
func (b *bench) startMaster(args ...string) (*process, error) {
	events, err := os.OpenFile(filepath.Join(b.dir, "master.jsonl"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
	if err != nil {
		return nil, fmt.Errorf("make the file of the master's events: %w", err)
	}
	p, err := b.start("master", io.MultiWriter(&lines{to: b.marks}, events), args...)
	if err == nil {
		go func() { <-p.done; events.Close() }()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.master = p
	return p, err
}

// startSlave starts the slave of a remote node, again where one has ended.
func (b *bench) startSlave(node string) error {
	host := b.links[node].listeners[0].Addr().(*net.TCPAddr).IP.String()
	args := []string{"--mode", "slave", "--node", node, "--master", net.JoinHostPort(host, b.address), "--data", b.dataOf(node)}
	args = append(args, b.options.pluginFlags()...)
	p, err := b.start("slave-"+node, io.Discard, args...)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.slaves[node] = p
	return err
}

func (b *bench) dataOf(node string) string { return filepath.Join(b.dir, "data-"+node) }
func (b *bench) runs() string              { return filepath.Join(b.dir, "runs") }

func (b *bench) start(name string, out io.Writer, args ...string) (*process, error) {
	log, err := os.OpenFile(filepath.Join(b.dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
	if err != nil {
		return nil, fmt.Errorf("make the log of a process: %w", err)
	}
	p := &process{cmd: exec.Command(b.options.Program, args...), out: log, done: make(chan struct{})}
	// Through pipes: a limit of files is one of the process, and not of what this program keeps of it.
	p.cmd.Stdout, p.cmd.Stderr = out, struct{ io.Writer }{log}
	p.cmd.WaitDelay = time.Second
	p.cmd.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "TMPDIR=") }), "TMPDIR="+b.tmp)
	if err := host.Spawn(p.cmd); err != nil {
		log.Close()
		return nil, fmt.Errorf("start %s: %w", b.options.Program, err)
	}
	go func() { // ends with the process, which close sees to
		_ = p.cmd.Wait() // its state says how
		log.Close()
		close(p.done)
	}()
	return p, nil
}

// alive says whether a process has not ended.
func (p *process) alive() bool {
	if p == nil {
		return false
	}
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// find returns the process id of a target; 0 when it does not run.
func (b *bench) find(t Target) int {
	b.mu.Lock()
	master, own := b.master, b.slaves[t.Node]
	b.mu.Unlock()
	switch {
	case t.Role == roleMaster && master.alive():
		return master.cmd.Process.Pid
	case t.Role == roleMaster:
		return 0
	}
	all := processesOf(b.tmp)
	slave := 0
	if own.alive() {
		slave = own.cmd.Process.Pid
	}
	for _, p := range all {
		at := slices.Index(p.command, "--node")
		if own == nil && master.alive() && p.parent == master.cmd.Process.Pid && at >= 0 && at+1 < len(p.command) && p.command[at+1] == t.Node {
			slave = p.pid
		}
	}
	if t.Role == roleSlave || slave == 0 {
		return slave
	}
	return b.pluginOf(all, slave, t)
}

// pluginOf finds a plugin among the children of a slave. Of several of one program
// the first that the recipe names is taken for the one that was started first.
func (b *bench) pluginOf(all []running, slave int, t Target) int {
	program, nth := b.programOf(t)
	var pids []int
	for _, p := range all {
		if p.parent == slave && len(p.command) > 0 && filepath.Base(p.command[0]) == program {
			pids = append(pids, p.pid)
		}
	}
	slices.Sort(pids)
	if nth >= len(pids) {
		return 0
	}
	return pids[nth]
}

// programOf is the plugin of a driver or a sink, and which of its processes at the node.
func (b *bench) programOf(t Target) (program string, nth int) {
	i := slices.IndexFunc(b.recipe.Nodes, func(n recipe.Node) bool { return n.Name == t.Node })
	if i < 0 {
		return "", 0
	}
	var names, programs []string
	if t.Role == roleDriver {
		for _, c := range b.recipe.Nodes[i].Controllers {
			names, programs = append(names, c.Name), append(programs, c.Driver)
		}
	} else {
		for _, s := range sinksAt(b.recipe, b.recipe.Nodes[i]) {
			names, programs = append(names, s.Name), append(programs, s.Sink)
		}
	}
	at := slices.Index(names, t.Name)
	if at < 0 {
		return "", 0
	}
	for _, p := range programs[:at] {
		if p == programs[at] {
			nth++
		}
	}
	return programs[at], nth
}

// endAll ends what still runs, politely first, and returns what did not end so.
func (b *bench) endAll() (left []string) {
	for _, p := range processesOf(b.tmp) {
		_ = cont(p.pid) // it may be gone
	}
	b.mu.Lock()
	slaves := b.slaves
	b.mu.Unlock()
	for _, p := range slaves {
		if p.alive() {
			_ = term(p.cmd.Process.Pid)
		}
	}
	asked := time.Now()
	again := asked
	for {
		all := processesOf(b.tmp)
		if len(all) == 0 {
			return nil
		}
		if time.Since(asked) > endWithin {
			for _, p := range all {
				left = append(left, fmt.Sprintf("%d %s", p.pid, strings.Join(p.command, " ")))
				_ = kill(p.pid)
			}
			return left
		}
		if time.Since(again) > endWithin/4 { // a slave that still sends gives that up at the second
			again = time.Now()
			for _, p := range slaves {
				if p.alive() {
					_ = term(p.cmd.Process.Pid)
				}
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// endWithin is how long processes may take to end when they are asked to.
const endWithin = 20 * time.Second

// close ends everything and removes the temporary files.
func (b *bench) close() error {
	for _, p := range processesOf(b.tmp) {
		_ = kill(p.pid) // it may be gone
	}
	for _, l := range b.links {
		l.close()
	}
	return os.RemoveAll(b.tmp)
}

// marks are what the master's events have told: which states began, and how often.
type marks struct {
	mu    sync.Mutex
	count map[string]int           // by state
	began map[moment]chan struct{} // closed when it begins
	dir   string                   // of the run
}

// moment is when a state of a run begins, for the first time or once more: several shots
// have some in turn.
type moment struct {
	state string
	nth   int // from 1
}

func newMarks() *marks {
	return &marks{count: map[string]int{}, began: map[moment]chan struct{}{}}
}

// at is closed when the moment has come.
func (m *marks) at(when moment) <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.of(when)
}

// of is what the moment is told by; it is called with the lock.
func (m *marks) of(when moment) chan struct{} {
	if m.began[when] == nil {
		m.began[when] = make(chan struct{})
	}
	return m.began[when]
}

// line takes one event of the master.
func (m *marks) line(text []byte) {
	var e struct {
		Event     string `json:"event"`
		State     string `json:"state"`
		Directory string `json:"directory"`
	}
	if json.Unmarshal(text, &e) != nil {
		return // cut off by a kill
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if e.Event == "summary" {
		m.dir = e.Directory
	}
	if e.Event == "state" && stateIndex(e.State) >= 0 {
		m.count[e.State]++
		close(m.of(moment{e.State, m.count[e.State]}))
	}
}

// lines gives each line that is written to it to a listener.
type lines struct {
	to   interface{ line([]byte) }
	rest []byte
}

func (l *lines) Write(p []byte) (int, error) {
	l.rest = append(l.rest, p...)
	for {
		line, rest, whole := bytes.Cut(l.rest, []byte("\n"))
		if !whole {
			return len(p), nil
		}
		l.to.line(line)
		l.rest = rest
	}
}

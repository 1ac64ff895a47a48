package recipe

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"

	"tsrun/sdk/quantity"
)

// judge checks what no single field can tell: names that refer to others, and
// sections that contradict each other. It works on a recipe that may have
// holes where the checker found mistakes; what depends on those is left alone.
func judge(c *checker, r *Recipe, stages stageConfigs, plugins *plugins) {
	j := &judgement{c: c, r: r, stageConfigs: stages, plugins: plugins, channels: map[string]channelInfo{}}
	for i := range r.Nodes {
		j.node(&r.Nodes[i])
	}
	j.trigger()
	j.network()
	j.clock()
	j.stages()
	j.sinks()
	j.live()
	j.resultSinks()
	j.segments()
	j.expect()
	j.simulate()
}

type judgement struct {
	c        *checker
	r        *Recipe
	plugins  *plugins
	channels map[string]channelInfo // by "node.channel"
	nodes    []string

	stageConfigs stageConfigs
}

// channelInfo is what the rest of a recipe needs to know about a channel.
type channelInfo struct {
	node, controller string // the controller as "node.controller": tags of one share a clock; none: it is told wrongly
	kept             bool   // by a sink
}

// fail reports a problem at the value of a path, failKey at its key.
func (j *judgement) fail(path, code, message, hint string) {
	j.c.fail(j.c.place(path, false), path, code, message, hint)
}

func (j *judgement) failKey(path, code, message, hint string) {
	j.c.fail(j.c.place(path, true), path, code, message, hint)
}

// place returns where a path is, or where the nearest section around it is.
func (c *checker) place(path string, key bool) place {
	for {
		if v := c.values[path]; v != nil && v.at.src != nil {
			if key {
				return v.keyAt
			}
			return v.at
		}
		dot := strings.LastIndexByte(path, '.')
		if path == "" {
			return place{}
		}
		path, key = path[:max(0, dot)], true
	}
}

// forget drops the problems of everything below a path.
func (c *checker) forget(path string) {
	c.problems = slices.DeleteFunc(c.problems, func(p Problem) bool { return strings.HasPrefix(p.Path, path+".") })
}

// holes reports whether anything below a path was already found wrong.
func (j *judgement) holes(path string) bool { return j.c.holes(path) }

func (c *checker) holes(path string) bool {
	for broken := range c.broken {
		if broken == path || strings.HasPrefix(broken, path+".") {
			return true
		}
	}
	return false
}

// misnamed reports whether a section, or the name of something in it, was found
// wrong: then a name that is not there may be meant to be.
func (j *judgement) misnamed(path string) bool {
	for broken := range j.c.broken {
		name, below := strings.CutPrefix(broken, path+".")
		if broken == path || below && !strings.Contains(name, ".") {
			return true
		}
	}
	return false
}

func (j *judgement) node(n *Node) {
	j.nodes = append(j.nodes, n.Name)
	base := "nodes." + n.Name
	var controllers []string
	used := map[string]bool{}
	for _, controller := range n.Controllers {
		controllers = append(controllers, controller.Name)
	}
	inputs := map[string]string{}
	for _, channel := range n.Channels {
		path := base + ".channels." + channel.Name
		full := n.Name + "." + channel.Name
		j.channels[full] = channelInfo{node: n.Name}
		if j.c.broken[path+".on"] {
			continue
		}
		used[channel.Controller] = true
		if !slices.Contains(controllers, channel.Controller) {
			if !j.holes(base + ".controllers") {
				j.fail(path+".on", codeUnknownName, fmt.Sprintf("node %s has no controller %q", n.Name, channel.Controller), didOr(channel.Controller, controllers))
			}
			continue
		}
		j.channels[full] = channelInfo{node: n.Name, controller: n.Name + "." + channel.Controller}
		input := fmt.Sprintf("%s/%d", channel.Controller, channel.Input)
		if other := inputs[input]; other != "" {
			j.fail(path+".on", codeConflict, fmt.Sprintf("input %s is already channel %q", input, other), "one input is one channel: take another input or remove one")
		}
		inputs[input] = channel.Name
	}
	if j.holes(base + ".channels") {
		return
	}
	for _, controller := range controllers {
		if !used[controller] {
			j.failKey(base+".controllers."+controller, codeUnused, fmt.Sprintf("no channel is on controller %q", controller), "add a channel, or remove the controller")
		}
	}
}

// MaxSegments is how many files a run may be made of: as many as a node may
// send, a manifest may list and a person can wait for to be proven.
const MaxSegments = 500_000

// segments checks that the files of a run are not too many for all that they
// go through.
func (j *judgement) segments() {
	a := j.r.Acquire
	if a.Segment <= 0 || a.Duration <= 0 || j.holes("acquire") || j.holes("sinks") || j.holes("nodes") {
		return
	}
	series, each := j.r.Segments()
	if series == 0 || each <= MaxSegments/series {
		return
	}
	if series > MaxSegments {
		j.failKey("nodes", codeConflict, fmt.Sprintf("%d channels and sinks make more than the %d files a run may have", series, MaxSegments), "record fewer channels")
		return
	}
	most := MaxSegments / series // of one series
	fits := (int64(a.Duration)-1)/most + 1
	unit := int64(quantity.Second)
	if fits < unit {
		unit = int64(quantity.Millisecond)
	}
	fits = (fits + unit - 1) / unit * unit
	j.failKey("acquire.segment", codeConflict, fmt.Sprintf("%d files of %v would be made, a run may have %d", series*min(each, math.MaxInt64/series), a.Segment, MaxSegments),
		fmt.Sprintf("write segment: %v, or longer", quantity.Time(fits)))
}

// known checks a reference to a node.
func (j *judgement) known(path, name string) bool {
	if slices.Contains(j.nodes, name) || j.misnamed("nodes") {
		return true
	}
	j.fail(path, codeUnknownName, fmt.Sprintf("no node is named %q", name), didOr(name, j.nodes))
	return false
}

// channel checks a reference to a channel and reports whether it can be used.
func (j *judgement) channel(path, name string) bool {
	if _, ok := j.channels[name]; ok {
		return true
	}
	if name == "" || j.c.broken[path] || j.c.broken["nodes"] {
		return false
	}
	node, _, dotted := strings.Cut(name, ".")
	if !dotted {
		j.fail(path, codeValue, fmt.Sprintf("%q is not a channel", name), didOr(name, j.channelNames("")))
		return false
	}
	if !slices.Contains(j.nodes, node) {
		if j.misnamed("nodes") {
			return false
		}
		j.fail(path, codeUnknownName, fmt.Sprintf("no node is named %q", node), didOr(name, j.channelNames("")))
		return false
	}
	if !j.misnamed("nodes." + node + ".channels") {
		j.fail(path, codeUnknownName, fmt.Sprintf("node %s has no channel of that name", node), didOr(name, j.channelNames(node)))
	}
	return false
}

// channelNames lists the channels of a node, or of all, in the recipe's order.
func (j *judgement) channelNames(node string) (names []string) {
	for _, n := range j.r.Nodes {
		for _, channel := range n.Channels {
			if node == "" || node == n.Name {
				names = append(names, n.Name+"."+channel.Name)
			}
		}
	}
	return names
}

func (j *judgement) trigger() {
	t := j.r.Trigger
	if t.Master != "" {
		j.known("trigger.master", t.Master)
	} else if len(j.nodes) > 1 && !j.holes("trigger") {
		j.failKey("trigger.master", codeMissing, `missing key "master"`, "name the node that decides the instant: "+oneOf(j.nodes))
	}
	for node := range t.Compensation {
		j.known("trigger.compensation."+node, node)
	}
	if t.Method == "hardware" && len(t.Compensation) > 0 {
		j.failKey("trigger.compensation", codeConflict, "a START pulse fires all controllers at once: no command can be moved", "remove compensation, or write method: scheduled")
	}
	if !t.OnReceipt() && t.wantsDatagrams() {
		j.fail("trigger.fast", codeConflict, "only a start on receipt is the sooner, the faster the order is there", "remove fast, or write method: broadcast")
	}
	if j.r.Realtime.BusyPoll > 0 && !t.Datagrams() && !j.holes("trigger") {
		j.fail("realtime.busy_poll", codeConflict, "no start waits for a datagram", "remove busy_poll, or write trigger: {method: broadcast, fast: udp}")
	}
	if t.OnReceipt() && len(t.Compensation) > 0 {
		j.failKey("trigger.compensation", codeConflict, "each node is fired when it has the order: none can be fired before that", "remove compensation, or write method: scheduled")
	}
	if j.r.Acquire.Shots() > 1 && j.r.Faults.LostNode == "restart" {
		j.fail("faults.lost_node", codeConflict, "a run of several shots ends with the shot in which a node is lost: none is started anew alone", "write finish, wait or abort, or leave acquire.repeat out")
	}
	if t.Method == "hardware" && j.r.Faults.LostNode == "restart" {
		j.fail("faults.lost_node", codeConflict, "a START pulse comes once: controllers cannot be started anew within the run", "write finish, wait or abort, or method: scheduled")
	}
}

// clock checks that what is to be measured can be.
func (j *judgement) clock() {
	if j.r.Clock.Source == "none" && j.r.Clock.MaxOffset > 0 && !j.holes("clock") {
		j.fail("clock.max_offset", codeConflict, "no clock is compared with clock.source: none", "write clock.source: auto, or leave max_offset out")
	}
}

func (j *judgement) network() {
	n := j.r.Network
	remote := ""
	for _, node := range j.r.Nodes {
		if node.Host == "remote" {
			remote = node.Name
		}
	}
	ports := []struct {
		name   string
		number int
	}{{"trigger", n.Ports.Trigger}, {"status", n.Ports.Status}, {"files", n.Ports.Files}}
	seen := map[int]string{}
	for _, port := range ports {
		path := "network.ports." + port.name
		if j.c.broken[path] {
			continue
		}
		if port.number == 0 && remote != "" {
			j.fail(path, codeConflict, fmt.Sprintf("port 0 is any port, and node %s on another PC could not know it", remote), "write a number")
		}
		if other := seen[port.number]; other != "" && port.number != 0 {
			j.fail(path, codeConflict, fmt.Sprintf("port %d is already that of %s", port.number, other), "write another number")
		}
		seen[port.number] = port.name
	}
	switch {
	case j.c.broken["network.tls"], j.c.broken["network.insecure"], j.c.broken["network.master"]:
	case n.TLS == "on" && n.Insecure:
		j.fail("network.insecure", codeConflict, "the connections have TLS, so they are not insecure", "remove insecure, or write tls: auto")
	case n.TLS == "off" && !n.Insecure && !IsLoopback(n.Master):
		j.fail("network.tls", codeConflict, fmt.Sprintf("other PCs reach the master at %s, so its connections need TLS", n.Master),
			"remove tls and pair the PCs (tsrun pair), or, on a network that nobody else reaches, add insecure: true")
	}
	ip, _ := netip.ParseAddr(n.Master) // of a name it is none
	if ip.Is6() && ip.IsLinkLocalUnicast() && ip.Zone() == "" {
		j.fail("network.master", codeConflict, fmt.Sprintf("%s is an address of every network of this PC", n.Master),
			"write it with the interface, like "+n.Master+"%eth0")
	}
	if remote != "" && (IsLoopback(n.Master) || ip.IsUnspecified()) {
		at := "network.master"
		if v := j.c.values[at]; v == nil || v.at.src == nil { // not written: what asks for it is
			at = "nodes." + remote + ".host"
		}
		j.c.fail(j.c.place(at, false), "network.master", codeConflict, fmt.Sprintf("node %s on another PC cannot reach the master at %s", remote, n.Master), "write network: {master: ADDRESS}, as the other PC reaches this one")
	}
}

package recipe

import (
	"regexp"
	"strings"

	"tsrun/sdk/quantity"
)

const hour = 3600 * quantity.Second

var (
	nameForm = &form{
		pattern: regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,31}$`),
		what:    "a name", like: "use up to 32 of a-z, 0-9, - and _, a letter or digit first",
	}
	nodeForm = &form{
		pattern: nameForm.pattern, what: nameForm.what, like: nameForm.like,
		reserved: reservedNodes,
	}
	sinkForm   = &form{pattern: nameForm.pattern, what: nameForm.what, like: nameForm.like, reserved: reservedSinks}
	stageForm  = &form{pattern: nameForm.pattern, what: nameForm.what, like: nameForm.like, reserved: reservedStages}
	pluginForm = &form{
		pattern: regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`),
		what:    "the name of a plugin", like: "plugins are named with a-z, 0-9 and -",
	}
	channelForm = &form{
		pattern: regexp.MustCompile(`^[a-z0-9][a-z0-9_-]*\.[a-z0-9][a-z0-9_-]*$`),
		what:    "a channel", like: "write node.channel, like alice.signal",
	}
	takesForm = &form{ // or a stage, which is judged by name later
		pattern: regexp.MustCompile(`^[a-z0-9][a-z0-9_-]*(\.[a-z0-9][a-z0-9_-]*)?$`),
		what:    channelForm.what, like: channelForm.like,
	}
	inputForm = &form{
		pattern: regexp.MustCompile(`^[a-z0-9][a-z0-9_-]*/[1-9][0-9]{0,2}$`),
		what:    "an input", like: "write controller/input, like tc/1; inputs are counted from 1",
	}
	priorityForm = &form{
		pattern: regexp.MustCompile(`^(auto|off|[1-9][0-9]?)$`),
		what:    "a priority", like: "write auto, off, or a number from 1 to 99",
	}
	wordForm = &form{
		pattern: regexp.MustCompile(`^[^\x00]{0,1000}$`),
		what:    "a word of a command", like: "write at most 1000 characters, none of them the zero byte",
	}
	coreForm = &form{
		pattern: regexp.MustCompile(`^(auto|0|[1-9][0-9]{0,2})$`),
		what:    "a core", like: "write auto, or the number of a core from 0 on",
	}
	socketForm = &form{
		pattern: regexp.MustCompile(`^/[^\x00-\x1f]{1,106}$`), // what the address of a socket holds
		what:    "the path of a socket", like: "write it whole, like /var/run/ptp/ptp4lro, in at most 107 bytes",
	}
	hostForm = &form{
		pattern: regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?|[0-9A-Fa-f]{0,4}(:[0-9A-Fa-f]{0,4}){2,7}(:?[0-9]{1,3}(\.[0-9]{1,3}){3})?(%[A-Za-z0-9._-]{1,15})?)$`),
		what:    "a host name or address", like: "write it like 192.168.0.10, alice.lab, fd00::10 or fe80::10%eth0",
	}
)

// pluginConfig is the config of whatever plugin its section names.
func pluginConfig() *Field {
	return &Field{name: "config", shape: shapeConfig, initial: "{}",
		doc: "All that the plugin owns; the plugin's own schema says what may stand here."}
}

// table describes a recipe whose stages are of no kind; tableWith adds those.
var table = &Field{shape: shapeObject, keys: []*Field{
	{name: "version", shape: shapeInteger, required: true, limits: &limits{Version, Version},
		doc: "Version of the recipe format; the first key of each file."},
	{name: "extends", shape: shapeText, encode: encodeNothing,
		doc: "A parent recipe, relative to this file. Sections merge, single values and lists replace, null deletes."},
	{name: "name", shape: shapeText, required: true, form: nameForm,
		doc: "Short name; part of the run directory's name."},
	{name: "description", shape: shapeText,
		doc: "What is measured, for people."},
	{name: "meta", shape: shapeConfig,
		doc: "Anything else worth keeping with the run, such as operator and sample; tsrun only copies it into the manifest."},
	networkTable, nodesTable, clockTable, triggerTable, acquireTable, stagesTable(nil), sinksTable,
	transferTable, faultsTable, expectTable, realtimeTable, simulateTable, onEndTable, scanTable,
}}

var realtimeTable = &Field{name: "realtime", shape: shapeObject, implied: true,
	doc: "What the thread of each driver that fires asks of the system; the summary says what was refused, and what to do.",
	keys: []*Field{
		{name: "priority", shape: shapeText, numeric: true, initial: "auto", form: priorityForm,
			doc: "Real-time priority (SCHED_FIFO): 1 to 99, or off. auto: 50 where it is granted."},
		{name: "core", shape: shapeText, numeric: true, initial: "auto", form: coreForm,
			doc: "The core that the thread keeps to, by number. auto: any."},
		{name: "lock_memory", shape: shapeChoice, initial: "auto", choices: []string{"auto", "on", "off"},
			doc: "Whether the memory of the driver's process stays in memory. auto: where it is granted."},
		{name: "dma_latency", shape: shapeQuantity, amount: times, nanoseconds: true, limits: between(0, quantity.Second),
			doc: "Processors of the node do not sleep so deeply that waking takes longer, from its joining to its end; 0 us: not at all. Where it is left out they do not sleep from 200 ms before an instant to 50 ms after it, where that is granted."},
		{name: "busy_poll", shape: shapeQuantity, amount: times, nanoseconds: true, limits: between(quantity.Microsecond, 10*quantity.Millisecond),
			doc: "With `trigger.fast`, so long the kernel asks the network card for a datagram before it sleeps (SO_BUSY_POLL): keeps a core busy. Not asked where it is left out."},
	}}

var onEndTable = &Field{name: "on_end", shape: shapeObject,
	doc: "What the master's PC executes when a run has ended, in whatever condition, and all of it is written: to write a log book, to send a message. Its failure is a warning.",
	keys: []*Field{
		{name: "command", shape: shapeList, required: true, limits: &limits{1, 64},
			doc:  "A program, in PATH or by its path from where tsrun is started, and its arguments; two are added: the run directory, and the condition, as `GOOD+SIMULATED`. No shell reads them.",
			each: &Field{name: "WORD", shape: shapeText, form: wordForm, doc: "The program or an argument."}},
		{name: "timeout", shape: shapeQuantity, amount: times, nanoseconds: true, initial: "1 min", limits: between(quantity.Second, hour),
			doc: "After so long it is ended."},
	}}

var networkTable = &Field{name: "network", shape: shapeObject, implied: true,
	doc: "What the slaves dial.",
	keys: []*Field{
		{name: "master", shape: shapeText, initial: "127.0.0.1", form: hostForm,
			doc: "Address of the master PC, as the slaves reach it; a link-local one of IPv6 with the interface, here this PC's (`fe80::10%eth0`), with `--master` the other's."},
		{name: "ports", shape: shapeObject, implied: true, doc: "Ports that the master listens on; 0 lets the system choose: the default where every node is local.",
			keys: []*Field{
				{name: "trigger", shape: shapeInteger, initial: "5557", limits: &limits{0, 65535}, doc: "Trigger orders (PUB)."},
				{name: "status", shape: shapeInteger, initial: "5559", limits: &limits{0, 65535}, doc: "Status and heartbeats (REP)."},
				{name: "files", shape: shapeInteger, initial: "5560", limits: &limits{0, 65535}, doc: "Finished files (PAIR)."},
				{name: "clock", shape: shapeInteger, initial: "5562", limits: &limits{0, 65535},
					doc: "Questions about the master's clock (UDP); used unless `clock.source` is none."},
			}},
		{name: "join", shape: shapeQuantity, amount: times, nanoseconds: true, initial: "1 min", limits: between(quantity.Second, 24*hour),
			doc: "How long the master waits for all nodes."},
		{name: "tls", shape: shapeChoice, initial: "auto", choices: []string{"auto", "on", "off"},
			doc: "Whether the connections are encrypted and each PC is proven by its certificate (`tsrun pair`); auto: unless `master` is a loopback address, or `insecure`."},
		{name: "insecure", shape: shapeChoice, initial: "false", choices: []string{"false", "true"}, encode: encodeInsecure,
			doc: "true: TLS may be off although other PCs reach the master. Who is on that network can read and change all that is said, and take the place of a node; the summary says so."},
	}}

var nodesTable = &Field{name: "nodes", shape: shapeNamed, required: true, form: nodeForm,
	doc: "The PCs that take part, by name.",
	each: &Field{name: "NODE", shape: shapeObject, doc: "One PC with its controllers.", keys: []*Field{
		{name: "host", shape: shapeChoice, initial: "local", choices: []string{"local", "remote"},
			doc: "local: tsrun starts this node itself; remote: a slave on another PC joins under this name."},
		{name: "controllers", shape: shapeNamed, required: true, form: nameForm, doc: "The node's Time Controllers, by name.",
			each: &Field{name: "CONTROLLER", shape: shapeObject, doc: "One Time Controller.", keys: []*Field{
				{name: "driver", shape: shapeText, required: true, form: pluginForm, doc: "Plugin that controls it, like tc-ethernet."},
				pluginConfig(),
			}}},
		{name: "channels", shape: shapeNamed, required: true, form: nameForm, doc: "The inputs in use, by name; written NODE.CHANNEL elsewhere.",
			each: &Field{name: "CHANNEL", shape: shapeObject, doc: "One input of a controller.", keys: []*Field{
				{name: "on", shape: shapeText, required: true, form: inputForm, encode: encodeInput,
					doc: "The input, as controller/number: tc/1."},
				{name: "threshold", shape: shapeQuantity, amount: voltages, neededWhere: "the controller has thresholds", limits: between(-10*quantity.Volt, 10*quantity.Volt),
					doc: "Voltage at which a pulse counts."},
				{name: "edge", shape: shapeChoice, initial: "rising", choices: []string{"rising", "falling"},
					doc: "Which crossing of the threshold is stamped."},
				{name: "delay", shape: shapeQuantity, amount: times, initial: "0 s", limits: between(-quantity.Second, quantity.Second),
					doc: "Added by the controller to each tag of the channel: a positive delay makes tags later."},
			}}},
	}}}

var clockTable = &Field{name: "clock", shape: shapeObject, implied: true,
	doc: "How the clocks of the nodes are compared.",
	keys: []*Field{
		{name: "source", shape: shapeChoice, initial: "auto", choices: []string{"none", "probe", "ptp", "chrony", "auto"},
			doc: "none: the clocks are taken as they are; the align stage finds their offset in the tags. probe: nodes on other PCs ask the master for its time during the whole run, and start by it. ptp, chrony: they start by what the ptp4l or chronyd of both PCs says, where both follow one reference. auto: the one of these with the smallest bound; none where none answers."},
		{name: "max_offset", shape: shapeQuantity, amount: times, nanoseconds: true, limits: between(quantity.Nanosecond, 24*hour),
			doc: "Refuse to start unless the clock of each node on another PC is known to be this near to the master's; crossed later, the run is TAINTED."},
		{name: "domain", shape: shapeInteger, initial: "0", limits: &limits{0, 255},
			doc: "PTP domain of ptp4l."},
		{name: "socket", shape: shapeText, form: socketForm,
			doc: "Management socket of ptp4l on each PC; where releases of linuxptp have it, unless given."},
	}}

var triggerTable = &Field{name: "trigger", shape: shapeObject, implied: true,
	doc: "How the controllers start together.",
	keys: []*Field{
		{name: "master", shape: shapeText, form: nameForm, doc: "The node that decides the instant; the only node where there is one."},
		{name: "method", shape: shapeChoice, initial: "scheduled", choices: []string{"scheduled", "broadcast", "hardware"},
			doc: "scheduled: all nodes fire at one instant of their clocks; broadcast: each fires as soon as it has the order; hardware: a START pulse fires, the nodes only arm."},
		{name: "lead", shape: shapeQuantity, amount: times, nanoseconds: true, initial: "500 ms", limits: between(100*quantity.Millisecond, 60*quantity.Second),
			doc: "The instant is this far ahead, once every node is armed. broadcast: a node that has the order so long after it was sent asks the master whether it still holds."},
		{name: "fast", shape: shapeChoice, initial: "off", choices: []string{"off", "udp", "xdp"},
			doc: "udp: with broadcast the order also goes as a datagram, from the UDP port of the number of `network.ports.trigger`; the first copy that a node has counts. xdp: as udp, and a node on another PC takes the datagram past its kernel's network (AF_XDP, in Linux), for which it needs privileges. Where either fails the run goes on without, and says so."},
		{name: "compensation", shape: shapeMap, form: nameForm, doc: "By node: how long after firing its controllers really start.",
			each: &Field{name: "NODE", shape: shapeQuantity, amount: times, nanoseconds: true, auto: true, limits: between(-MaxCompensation, MaxCompensation),
				doc: "The node is fired this much earlier: a positive time moves its start command to before the instant. auto: by as much as its drivers' start commands take, measured before the run; `auto + 250 us` and `auto - 10 us` add to that."}},
	}}

var acquireTable = &Field{name: "acquire", shape: shapeObject, required: true,
	doc: "How long to measure.",
	keys: []*Field{
		{name: "duration", shape: shapeQuantity, amount: times, nanoseconds: true, required: true, limits: between(quantity.Millisecond, 2400*hour),
			doc: "Length of the acquisition."},
		{name: "segment", shape: shapeQuantity, amount: times, nanoseconds: true, initial: "1 s", limits: between(10*quantity.Millisecond, 24*hour),
			doc: "Length of one file; files close, verify and travel while the run goes on."},
		{name: "repeat", shape: shapeInteger, initial: "1", limits: &limits{1, MaxShots},
			doc: "So many shots of `duration` are taken one after another; the devices stay open, and are armed and started anew for each."},
	}}

var transferTable = &Field{name: "transfer", shape: shapeObject, implied: true,
	doc: "How files travel to the master.",
	keys: []*Field{
		{name: "streams", shape: shapeInteger, initial: "1", limits: &limits{1, 16},
			doc: "Connections of each node for its files; more than one on a cable with long round trips."},
		{name: "chunk", shape: shapeQuantity, amount: sizes, initial: "1 MiB", limits: between(64*quantity.KiB, 4*quantity.MiB),
			doc: "How much of a connection may be on its way unproven, and is sent again when it breaks; at most half of it travels under one checksum."},
		{name: "compress", shape: shapeChoice, initial: "auto", choices: []string{"auto", "none"},
			later: map[string]string{anyOther: "write auto or none, or leave it out"},
			doc:   "auto: tags travel packed where the link is so slow that this pays, as measured; none: files travel as they are."},
		{name: "verify", shape: shapeChoice, initial: "sha256", choices: []string{"sha256"},
			doc: "What a file must match before it counts."},
		{name: "keep_source", shape: shapeChoice, initial: "until_verified", choices: []string{"until_verified", "always"},
			doc: "until_verified: the node's copy goes once the master has proven its own; always: it stays."},
	}}

var faultsTable = &Field{name: "faults", shape: shapeObject, implied: true,
	doc: "What to do on a bad day.",
	keys: []*Field{
		{name: "lost_node", shape: shapeChoice, initial: "finish", choices: []string{"finish", "abort", "wait", "restart"},
			doc: "finish: the other nodes go on and the run is INCOMPLETE; abort: all stop; wait: as finish, and what a node that is not heard has recorded is waited for without end; restart: as finish, and a node that is back while the others record opens its controllers again and records the rest."},
		{name: "lost_tags", shape: shapeChoice, initial: "flag", choices: []string{"flag", "abort"},
			doc: "flag: the run is INCOMPLETE; abort: all stop."},
		{name: "patience", shape: shapeQuantity, amount: times, nanoseconds: true, initial: "10 min", limits: between(5*quantity.Second, 24*hour),
			doc: "How long nothing may be heard of a node, or a node hear nothing of the master, before it is lost; until then it is away and records on."},
		{name: "clock", shape: shapeText, later: map[string]string{"": "leave it out: clocks are not watched yet"},
			doc: "What to do when a clock leaves its limit."},
		{name: "disk_below", shape: shapeQuantity, amount: sizes, initial: "100 MiB",
			doc: "Refuse to start with less free space, and end a recording before less is free: its files are whole, and the run is INCOMPLETE."},
	}}

// encodeNothing is for what the program needs no value of.
func encodeNothing(*value, map[string]any) {}

// encodeInput splits "tc/1", whose form was checked.
func encodeInsecure(v *value, into map[string]any) { into[v.name] = v.scalar == "true" }

func encodeInput(v *value, into map[string]any) {
	controller, input, _ := strings.Cut(v.text, "/")
	into["controller"], into["input"] = controller, number(input)
}

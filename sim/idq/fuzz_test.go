package idq

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"tsrun/sim/sky"
)

var discardLog = slog.New(slog.DiscardHandler)

// FuzzSCPI executes messages from strangers; every one must be answered, with
// at most one line for each instruction.
func FuzzSCPI(f *testing.F) {
	for _, seed := range []string{
		"*IDN?", "REC:ENAB OFF;TRIG:DELA 0;LINK DELA8;ARM:MODE MANU;:REC:ENABle ON;NUM 1",
		"REC:PWID 1000000000000;PPER 1000000400000", "REC:DUR 1e+16", "INPU1:THRE -400 mV", "RAW1:SEND;:RAW9:SEND",
		"HIST1:BCOU 3;DATA?", "TSCO1:FIR:LINK TSCO1;:REC:TRIG:LINK TSCO1;:REC:ENAB;TRIG:ARM;:REC:STAG?", ";;", "A:B:C? 5", "INPU3:COUN?",
		"REC:ENAB ON;DUR 1;PLAY;STOP",
		"DEVI:CONF:LOAD COUNT;:TSCO24:COUN?;:STATe?", "TSCO1:WIND:ENAB ON;BEGI:LINK DELA5:TSCO1:WIND:END:DELA 1e3", "OUTP1:ENAB;LINK TSCO5;:INPU1:SELE OUTP",
		"GEN1:ENAB;TRIG:LINK GEN2;ARM:MODE AUTO;:GEN2:ENAB;PPER 20000;PNUM INF;PLAY;:TSCO1:FIR:LINK GEN1;:TSCO1:COUN:INTE 1;:TSCO1:COUN?",
		"REC:ENAB;TRIG:LINK INPU1;ARM:MODE AUTO;:REC:TRIG:DARM", "HIST1:INPO:REF:LINK TSCO5;:HIST1:STAT?",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, message string) {
		h := newHub(Config{Buffer: MaxBuffered, Log: discardLog}, faults{})
		d := newDevice(Config{Sky: sky.Settings{Seed: 1}, Buffer: MaxBuffered, Log: discardLog}, faults{}, nil, h)
		ctx, cancel := context.WithCancel(context.Background())
		g, ctx := errgroup.WithContext(ctx)
		d.tasks = &tasks{g: g, ctx: ctx}
		reply := d.answer(message)
		if reply.then != nil {
			reply.then()
		}
		cancel()
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
		if lines, instructions := strings.Count(reply.text, "\n")+1, len(parseMessage(message)); reply.text != "" && lines > instructions {
			t.Fatalf("%q: %d lines for %d instructions: %q", message, lines, instructions, reply.text)
		}
	})
}

// FuzzDLT parses commands from strangers.
func FuzzDLT(f *testing.F) {
	for _, seed := range []string{
		"list", "stop 10.98.99.7:5556", "status --id a", `start-save --address 1.2.3.4 --channel 1 --filename "C:\\a b\\c.bin" --format ascii --with-ref-index`,
		"start-stream --channel=4 --stream-port=4245 --address x", "status --id --id", `"`, `stop "a\"b"`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, request string) {
		c, err := parseCommand(request)
		if err == nil && strings.HasPrefix(c.name, "start-") && (c.channel < 1 || c.channel > channels || c.address == "") {
			t.Fatalf("%q: %+v", request, c)
		}
		// Whatever is wrong with it, the answer is JSON. Commands that would
		// open files or ports are left out.
		if strings.Contains(request, "start-") {
			return
		}
		h := newHub(Config{Log: discardLog}, faults{})
		if reply := h.answer(request); !json.Valid([]byte(reply.text)) {
			t.Fatalf("%q: %q", request, reply.text)
		}
	})
}

// FuzzLine parses what strangers say on the START line.
func FuzzLine(f *testing.F) {
	for _, seed := range []string{`{}`, `{"first_unix_ns":1700000000000000000,"first_ps":5,"period_ps":1004000,"count":1}`, `[]`, `{"period_ps":-1}`, `x`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		tr, err := parseLine(line)
		if err != nil || tr == nil {
			return
		}
		after := tr.First.Add(12_345_678)
		edge, ok := tr.next(after)
		if ok && (edge.Before(after) || edge.Sub(tr.First)%tr.Period != 0) {
			t.Fatalf("%s: next edge after %v is %v", line, after, edge)
		}
		if !ok && tr.Count == 0 {
			t.Fatalf("%s: an endless train ended", line)
		}
	})
}

package e2e

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"tsrun/internal/need"
)

// browser is a real Chromium that a test drives through its pipe: messages of its
// DevTools protocol, each ended by a zero byte.
type browser struct {
	t    *testing.T
	to   *os.File
	from *bufio.Reader
	last int
	said []string // errors of consoles, and exceptions
}

// tab is a page in it.
type tab struct {
	*browser
	session string
}

// startBrowser starts one with a directory of its own; it ends with the test.
func startBrowser(t *testing.T) *browser {
	t.Helper()
	path := need.Tool(t, "chromium", "chromium")
	hears, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	from, says, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe", "--user-data-dir="+t.TempDir(), "about:blank")
	cmd.ExtraFiles = []*os.File{hears, says} // its 3 and 4
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	hears.Close()
	says.Close()
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		to.Close()
		from.Close()
	})
	return &browser{t: t, to: to, from: bufio.NewReader(from)}
}

// do asks the browser for something, and returns its answer.
func (b *browser) do(session, method string, params map[string]any) map[string]any {
	b.t.Helper()
	answer, refused := b.ask(session, method, params)
	if refused != nil {
		b.t.Fatalf("%s: %v", method, refused)
	}
	return answer
}

// ask is do of what the browser may refuse.
func (b *browser) ask(session, method string, params map[string]any) (answer, refused map[string]any) {
	b.t.Helper()
	b.last++
	text, err := json.Marshal(map[string]any{"id": b.last, "method": method, "params": params, "sessionId": session})
	if session == "" {
		text, err = json.Marshal(map[string]any{"id": b.last, "method": method, "params": params})
	}
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.to.Write(append(text, 0)); err != nil {
		b.t.Fatalf("%s: %v", method, err)
	}
	for {
		text, err := b.from.ReadBytes(0)
		if err != nil {
			b.t.Fatalf("%s: the browser is gone: %v", method, err)
		}
		var m struct {
			ID     int
			Method string
			Params struct {
				Type  string
				Entry struct{ Level, Text, URL string }
			}
			Result map[string]any
			Error  map[string]any
		}
		if err := json.Unmarshal(text[:len(text)-1], &m); err != nil {
			b.t.Fatalf("%v: %s", err, text)
		}
		switch {
		case m.Method == "Runtime.exceptionThrown", m.Method == "Runtime.consoleAPICalled" && m.Params.Type == "error",
			m.Method == "Log.entryAdded" && m.Params.Entry.Level == "error":
			b.said = append(b.said, string(text))
		case m.ID == b.last:
			return m.Result, m.Error
		}
	}
}

// open opens an address in a tab of its own.
func (b *browser) open(address string, scripts bool) *tab {
	b.t.Helper()
	target := b.do("", "Target.createTarget", map[string]any{"url": "about:blank"})["targetId"]
	session, _ := b.do("", "Target.attachToTarget", map[string]any{"targetId": target, "flatten": true})["sessionId"].(string)
	p := &tab{b, session}
	for _, method := range []string{"Runtime.enable", "Log.enable", "Page.enable"} {
		p.do(session, method, nil)
	}
	p.do(session, "Emulation.setScriptExecutionDisabled", map[string]any{"value": !scripts})
	p.do(session, "Page.navigate", map[string]any{"url": address})
	return p
}

// value is what an expression is in the page, as a text.
func (p *tab) value(expression string) string {
	p.t.Helper()
	result, _ := p.do(p.session, "Runtime.evaluate", map[string]any{"expression": "String(" + expression + ")", "returnByValue": true})["result"].(map[string]any)
	text, _ := result["value"].(string)
	return text
}

// until waits for an expression to be true in the page.
func (p *tab) until(within time.Duration, expression string) {
	p.t.Helper()
	for end := time.Now().Add(within * busy); p.value(expression) != "true"; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			p.t.Fatalf("the page never had %s:\n%s", expression, p.value("document.body.innerText"))
		}
	}
}

// source is the page as it stands, without asking its scripts; "" of one that is just
// being replaced by another.
func (p *tab) source() string {
	root, _ := p.do(p.session, "DOM.getDocument", nil)["root"].(map[string]any)
	answer, _ := p.ask(p.session, "DOM.getOuterHTML", map[string]any{"nodeId": root["nodeId"]})
	html, _ := answer["outerHTML"].(string)
	return html
}

// quiet fails a test in whose pages anything went wrong.
func (b *browser) quiet() {
	b.t.Helper()
	if len(b.said) > 0 {
		b.t.Errorf("the browser says:\n%s", strings.Join(b.said, "\n"))
	}
}

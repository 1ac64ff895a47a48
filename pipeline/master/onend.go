package master

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"tsrun/pipeline/event"
	"tsrun/pipeline/host"
	"tsrun/pipeline/text"
)

// outputDelay is how long the output of a command may stay open that has ended, by
// a process that it left.
const outputDelay = 2 * time.Second

// runOnEnd executes the recipe's command for the end of a run, when all of that is
// written. The run is what it is by then: a failure of the command is a warning.
func (c *conductor) runOnEnd() {
	o := c.recipe.OnEnd
	if o == nil || c.options.Local != nil { // the end of a part is not that of the run
		return
	}
	// Interrupts that came before have ended the run; those that come now end the command.
	for drained := false; !drained; {
		select {
		case <-c.options.Interrupts:
		default:
			drained = true
		}
	}
	var words []string
	for _, condition := range c.book.manifest.Condition {
		words = append(words, string(condition))
	}
	why := execute(o.Command, []string{absolute(c.dir.Path()), strings.Join(words, "+")}, time.Duration(o.Timeout)/1000, c.options.Interrupts)
	if why != nil {
		c.observe(event.Warning{Message: fmt.Sprintf("on_end: %s: %v", text.Printable(strings.Join(o.Command, " ")), why),
			Hint: "the run is not touched by it; call the command again with the run directory and the condition"})
	}
}

// absolute is a path that holds from any directory.
func absolute(path string) string {
	if whole, err := filepath.Abs(path); err == nil {
		return whole
	}
	return path
}

// execute runs a command with further arguments, nothing to read, and an end to it.
func execute(command, more []string, timeout time.Duration, interrupts <-chan struct{}) error {
	cmd := exec.Command(command[0], append(command[1:len(command):len(command)], more...)...)
	out := &lastLines{}
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = out, out, outputDelay
	if err := host.Spawn(cmd); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	why := error(nil)
	end := func(because error) {
		host.KillGroup(cmd.Process.Pid)
		<-ended
		why = because
	}
	select {
	case why = <-ended:
	case <-timer.C:
		end(fmt.Errorf("it did not end within %v", timeout))
	case <-interrupts:
		end(errors.New("it was interrupted"))
	}
	switch {
	case why == nil, errors.Is(why, exec.ErrWaitDelay): // a process that it left goes on
		return nil
	case out.String() != "":
		return fmt.Errorf("%w; it said: %s", why, text.Printable(out.String()))
	}
	return why
}

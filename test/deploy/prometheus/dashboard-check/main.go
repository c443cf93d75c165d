// Checks dashboards against Grafana's own definition of one: every field of a dashboard, its variables, panels, their options
// and their queries is known there, of the right type and within its range. Prints what is wrong, and exits 1 then.
package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// Options of a panel that a file leaves out get their defaults in Grafana; to the definition they are missing.
func isLeftToDefault(problem *cog.BuildError) bool {
	return strings.Contains(problem.Path, "].options.") && problem.Message == "required field is missing from input"
}

func problemsOf(file string) []error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return []error{err}
	}
	var board dashboard.Dashboard
	var problems []error
	for _, err := range []error{board.UnmarshalJSONStrict(raw), board.Validate()} {
		var built cog.BuildErrors
		if !errors.As(err, &built) {
			if err != nil {
				problems = append(problems, err)
			}
			continue
		}
		for _, problem := range built {
			if !isLeftToDefault(problem) {
				problems = append(problems, problem)
			}
		}
	}
	return problems
}

func main() {
	plugins.RegisterDefaultPlugins()
	exitCode := 0
	for _, file := range os.Args[1:] {
		for _, problem := range problemsOf(file) {
			fmt.Printf("%s: %v\n", file, problem)
			exitCode = 1
		}
	}
	os.Exit(exitCode)
}

// SPDX-License-Identifier: GPL-2.0
//
// Runs the perf importer of the npm package speedscope over texts of perf script.
//
//   node consumers-speedscope.js DIR TEXT...
//
// DIR is the package's dist/release: one bundle, made for a browser. It is
// evaluated up to where it wants a page to draw on; by then its modules exist.
// The importer is found by its shape and handed out through a global. Prints for
// each TEXT one line of JSON: {profiles, weights: {thread: seconds},
// functions: {name: seconds on top}}.
'use strict';
const fs = require('fs');
const path = require('path');
const vm = require('vm');

function loadImporter(dir) {
	const file = fs.readdirSync(dir).find((name) => /^speedscope.*\.js$/.test(name));
	const source = fs.readFileSync(path.join(dir, file), 'utf8');
	// function F(text){let profiles=new Map,event=null;for(let e of parse(text)){if(e==null||event!=null&&...
	const at = source.search(
		/function \w+\(\w+\)\{let \w+=new Map,\w+=null;for\(let \w+ of \w+\(\w+\)\)\{if\(\w+==null\|\|/);
	if (at < 0)
		throw new Error('this speedscope has its perf importer in another form');
	const importer = /function (\w+)/.exec(source.slice(at))[1];
	// The module's initializer stands behind its functions.
	const init = /var (\w+)=\w+\(\(\)=>\{"use strict"/.exec(source.slice(at))[1];
	const start = '"use strict";(()=>{';
	if (!source.startsWith(start))
		throw new Error('this speedscope is bundled in another form');
	const context = { console, TextDecoder, TextEncoder, setTimeout, URL, navigator: { userAgent: '' } };
	context.globalThis = context.window = context.self = context;
	vm.createContext(context);
	try {
		vm.runInContext(
			`${start}globalThis.importPerf=(text)=>{${init}();return ${importer}(text)};` +
			source.slice(start.length), context, { filename: file });
	} catch (error) {
		// No page to draw on.
	}
	return context.importPerf;
}

function describe(group) {
	const result = { profiles: 0, weights: {}, functions: {} };
	for (const profile of group ? group.profiles : []) {
		result.profiles++;
		result.weights[profile.getName()] = profile.getTotalWeight();
		profile.forEachFrame((frame) => {
			result.functions[frame.name] = (result.functions[frame.name] || 0) + frame.getSelfWeight();
		});
	}
	return result;
}

const importPerf = loadImporter(process.argv[2]);
for (const file of process.argv.slice(3)) {
	const text = fs.readFileSync(file, 'utf8');
	console.log(JSON.stringify(describe(importPerf({ splitLines: () => text.split('\n') }))));
}

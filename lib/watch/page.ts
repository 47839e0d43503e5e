/** The page, which its scripts fill. */
export const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>ddsc runs</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/uplot.css">
<link rel="stylesheet" href="/style.css">
<script src="/uplot.js" defer></script>
<script type="module" src="/client/page.js"></script>
</head>
<body>
<header>
<h1>ddsc runs</h1>
<p id="connection" role="status">connecting</p>
</header>
<main>
<noscript><p>This page needs JavaScript. The figures are in each run's metrics.jsonl, too.</p></noscript>
<p id="notice" hidden></p>
<section>
<h2 id="runs-title">Runs</h2>
<div id="runs-box" tabindex="0" role="region" aria-labelledby="runs-title"><table id="runs" role="table"></table></div>
</section>
<section aria-labelledby="curves-title">
<h2 id="curves-title">Curves</h2>
<p class="controls"><label for="smoothing">Smoothing <input id="smoothing" type="range" min="0" max="0.99" step="0.01" value="0.9"></label>
<output id="smoothing-value" for="smoothing"></output></p>
<div id="charts"></div>
</section>
<section aria-labelledby="notes-title">
<h2 id="notes-title">Notes and errors</h2>
<div id="notes"></div>
</section>
</main>
</body>
</html>
`;

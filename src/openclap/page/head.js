// Gradio's own words ("Drop Audio Here") follow the browser's language, and stay as they were first drawn. Here they follow the
// page's: those that are drawn later by gradio's own translation, those that are there already, and its errors, by WORDS, which
// holds them in both languages.
(() => {
  const WORDS = /*WORDS*/[];
  let language = 'en';
  const place = new URLSearchParams(location.search).get('place');  // the page around the frame has a head of its own
  if (/^(recording|live|teach)$/.test(place)) document.documentElement.dataset.place = place;
  const RAW = { 'common.complete': 'Complete' };  // shown so until gradio has read its translations
  const translated = (said) => {
    const plain = said.trim();
    const numbers = plain.match(/\d+/g) ?? [];  // in WORDS each is a #
    const pair = plain && WORDS.find((one) => one.includes(RAW[plain] ?? plain.replace(/\d+/g, '#')));
    return pair ? said.replace(plain, pair[language === 'zh' ? 1 : 0].replace(/#/g, () => numbers.shift() ?? '')) : said;
  };
  const speakIn = (root) => {
    if (root.nodeType === Node.TEXT_NODE) {
      const said = translated(root.nodeValue);
      if (said !== root.nodeValue && !root.parentElement?.closest('.oc-card, textarea')) root.nodeValue = said;
      return;
    }
    if (root.nodeType !== Node.ELEMENT_NODE) return;
    for (const name of ['aria-label', 'title']) {
      const said = root.getAttribute(name);
      if (said && translated(said) !== said) root.setAttribute(name, translated(said));
    }
    root.childNodes.forEach(speakIn);
  };
  new MutationObserver((changes) => changes.forEach((change) => {
    if (change.type === 'characterData') speakIn(change.target);
    change.addedNodes.forEach(speakIn);
  })).observe(document.documentElement, { childList: true, subtree: true, characterData: true });
  window.openclapSpeak = async (wanted) => {
    language = wanted;
    document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en';
    speakIn(document.body);
    const core = performance.getEntriesByType('resource').map((one) => one.name).find((name) => /\/assets\/core-[^/]*\.js$/.test(name));
    if (core) {
      const gradio = await import(core);
      if (gradio.changeLocale) gradio.changeLocale(document.documentElement.lang);
    }
  };
})();

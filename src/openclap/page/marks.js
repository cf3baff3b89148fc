// After players.js: what was marked as yes or no, by the token of its sound. It is sent with the next press of a button (`openclapMarks`),
// so a mark needs no answer, stops no player, and stays where the list is drawn anew.
const marks = window.openclapMarks = window.openclapMarks || {};
const draw = () => {
  const shown = new Set();
  element.querySelectorAll('[data-mark]').forEach((button) => {
    shown.add(button.dataset.token);
    button.setAttribute('aria-pressed', String(marks[button.dataset.token] === button.dataset.mark));
  });
  const count = (mark) => Object.values(marks).filter((one) => one === mark).length;
  element.querySelectorAll('.oc-marked').forEach((line) => {
    line.textContent = line.dataset.said.replace('#yes', count('yes')).replace('#no', count('no'));
  });
};
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-mark]');
  if (!button) return;
  const { token, mark } = button.dataset;
  if (marks[token] === mark) delete marks[token]; else marks[token] = mark;
  draw();
});
watch('value', draw);
draw();

// Offers the dashboard under "Add dashboard", and a section of it for other pages (Home
// Assistant 2026.11). What is on them is made by dashboard.py.
const TYPE = "voltgo-vlrv";

const DESCRIPTIONS = {
  en: "How full your batteries are, how long they last, and whether anything is wrong",
  de: "Wie voll deine Batterien sind, wie lange sie reichen und ob etwas nicht stimmt",
  es: "Cuánta carga tienen tus baterías, cuánto duran y si hay algún problema",
  fr: "La charge de vos batteries, leur autonomie et les éventuels problèmes",
  nl: "Hoe vol je accu's zijn, hoelang ze meegaan en of er iets mis is",
};

class VoltgoVlrvDashboard extends HTMLElement {
  static async generate(config, hass) {
    return hass.callWS({ type: "voltgo_vlrv/dashboard", url_path: hass.panelUrl });
  }
}

class VoltgoVlrvSection extends HTMLElement {
  static getStubConfig() {
    return { type: `custom:${TYPE}` };
  }

  static async generate(config, hass) {
    return hass.callWS({ type: "voltgo_vlrv/section" });
  }
}

async function offer(strategyType, element) {
  window.customStrategies = window.customStrategies || [];
  const strategies = window.customStrategies;
  if (strategies.some((one) => one.type === TYPE && one.strategyType === strategyType)) {
    return;
  }
  strategies.push({
    type: TYPE,
    strategyType,
    name: "Voltgo VLRV",
    get description() {
      const [language] = document.documentElement.lang.split("-");
      return DESCRIPTIONS[language] ?? DESCRIPTIONS.en;
    },
  });
  // Home Assistant replaces the browser's registry while it starts, and does not find what
  // was defined before that.
  await customElements.whenDefined("home-assistant");
  customElements.define(`ll-strategy-${strategyType}-${TYPE}`, element);
}

offer("dashboard", VoltgoVlrvDashboard);
offer("section", VoltgoVlrvSection);
